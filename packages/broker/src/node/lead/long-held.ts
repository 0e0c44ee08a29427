/**
 * Members that keep a message of QoS 2 unacknowledged while very many later ones come and go.
 *
 * Receivers remember the BINDs that they took since the oldest one that holds: see seen.ts. To bound that, a
 * member that keeps a message for too long loses its connection. That settles the message: for a stored session it
 * is in the queue, for another it ends with the connection [MQTT-4.8.2-5].
 */
import { ReasonCode } from '../../mqtt/reason-code.ts';
import type { Bound } from '../../session/groups.ts';
import { Complaints } from './complaints.ts';
import type { Lead } from './parts.ts';

/** Entries of a shard's log that may follow a BIND before its member loses the connection. */
const HELD_ENTRIES_MAX = 1_000_000;
/** Pause between two looks. */
const LOOK_MS = 1000;

export class LongHeld {
  readonly #leader: Lead;
  readonly #most: number;
  readonly #complaints: Complaints;
  #lookedMs = Number.NEGATIVE_INFINITY;

  /** @param most as HELD_ENTRIES_MAX */
  constructor(leader: Lead, most = HELD_ENTRIES_MAX) {
    this.#leader = leader;
    this.#most = most;
    this.#complaints = new Complaints(leader.node.env);
  }

  tick(nowMs: number): void {
    if (nowMs - this.#lookedMs < LOOK_MS) return;
    this.#lookedMs = nowMs;
    const { groups } = this.#leader.state;
    const before = this.#leader.replica.commit - this.#most;
    if (groups.lowestBind(before + 1) > before) return;
    for (const { key, messages } of groups.byKey.values())
      for (const { bound } of messages.values())
        if (bound && bound.by <= before) this.#end(key, bound);
  }

  #end(group: string, { clientId, to }: Bound): void {
    const { giving, connections } = this.#leader.node;
    const member = giving.groups.get(group)?.members.find((m) => m.clientId === clientId);
    const address = to ?? (member && giving.addressOf(member));
    if (!address) return;
    this.#complaints.warn(
      clientId,
      'client keeps a message of a group for too long, it is disconnected',
      {
        clientId,
        group,
      },
    );
    connections.kick(address, ReasonCode.QuotaExceeded, null);
  }
}
