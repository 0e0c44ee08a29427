/**
 * Where this core differs from SWIM with Lifeguard as published and as memberlist runs it.
 *
 * Not configuration: everything is on in every process. Experiments turn single ones off, so that the
 * baseline and ours are one code in one simulator. `localHealthMax: 0`, `suspicionMaxMult: 1` with
 * `suspicionConfirmations: 0`, and `fallbackProbe` of the configuration switch the rest.
 *
 * @see docs/adr/0011-the-baseline-of-membership.md
 */
export interface SwimSwitches {
  /** Late timers are noticed: verdicts wait for what lies unread, and the local health score rises. */
  readonly stallAwareness: boolean;
  /** Lifeguard: a receiver that is not alive in our eyes hears it first, so that it can refute. */
  readonly buddySystem: boolean;
  /** Another member's verdict shortens the suspicion at most; else it is believed at once. */
  readonly ownVerdicts: boolean;
  /** Every member tells a suspect before its time is up, and the suspect answers outdated news. */
  readonly asksOnceMore: boolean;
  /** About as many members as can confirm a suspicion probe at once when they hear of it. */
  readonly verifiesSuspicions: boolean;
  /** Pings and acks compare a hash of the members; two that differ exchange everything. */
  readonly comparesDigests: boolean;
  /** Lost members are asked now and then whether they are back. */
  readonly probesLost: boolean;
  /**
   * Updates that others know are told less: those that a newcomer learned when it joined (its own
   * aside), and, while there is more to tell than gossip carries, those that an exchange brought.
   */
  readonly tellsOldNewsLess: boolean;
  /** A member whose host refuses connections to several is suspected for the shortest time only. */
  readonly believesRefusals: boolean;
  /** Up to so many members suspicions last alike. */
  readonly suspicionMembersMin: number;
  /** How long dead members still get gossip; with 0 only answers tell them. */
  readonly gossipToDeadMs: number;
}

/** What every process runs. */
export const SWIM_SWITCHES: SwimSwitches = {
  stallAwareness: true,
  buddySystem: true,
  ownVerdicts: true,
  asksOnceMore: true,
  verifiesSuspicions: true,
  comparesDigests: true,
  probesLost: true,
  tellsOldNewsLess: true,
  believesRefusals: true,
  suspicionMembersMin: 32,
  gossipToDeadMs: 0,
};
