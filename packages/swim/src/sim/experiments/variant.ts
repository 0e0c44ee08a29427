import { type SwimConfig, type SwimConfigInput, swimConfig } from '../../config.ts';
import { SWIM_SWITCHES, type SwimSwitches } from '../../core/switches.ts';

/** One column of a comparison: settings and switches. */
export interface Variant {
  readonly name: string;
  readonly config: SwimConfig;
  readonly switches: SwimSwitches;
}

/** Which parts of Lifeguard are on. */
export interface LifeguardParts {
  /** The local health score scales period and timeout of probes (LHA-Probe). */
  readonly probe: boolean;
  /** The suspicion timeout falls with confirmations (LHA-Suspicion). */
  readonly suspicion: boolean;
  readonly buddy: boolean;
}

export const ALL_PARTS: LifeguardParts = { probe: true, suspicion: true, buddy: true };
export const NO_PARTS: LifeguardParts = { probe: false, suspicion: false, buddy: false };

/**
 * memberlist with its LAN preset: probes each second, 500 ms for an ack, 3 helpers, gossip to 3 each
 * 200 ms, retransmissions × 4, push-pull each 30 s and more in large clusters.
 *
 * @param alpha suspicion multiplier: 4 in the preset, 5 in the Lifeguard paper
 * @see docs/adr/0011-the-baseline-of-membership.md
 */
export function memberlist(
  size: number,
  options: {
    readonly name?: string;
    readonly alpha?: number;
    readonly parts?: LifeguardParts;
  } = {},
): Variant {
  const { name = 'memberlist', alpha = 4, parts = ALL_PARTS } = options;
  const pushPullScale = size <= 32 ? 1 : Math.ceil(Math.log2(size) - 5) + 1;
  return {
    name,
    config: swimConfig({
      ...SECOND,
      silenceMs: 0,
      suspicionMult: alpha,
      suspicionMaxMult: parts.suspicion ? 6 : 1,
      suspicionConfirmations: parts.suspicion ? alpha - 2 : 0,
      localHealthMax: parts.probe ? 8 - 1 : 0,
      syncIntervalMs: 30_000 * pushPullScale,
    }),
    switches: {
      stallAwareness: false,
      buddySystem: parts.buddy,
      ownVerdicts: false,
      asksOnceMore: false,
      verifiesSuspicions: false,
      comparesDigests: false,
      probesLost: false,
      tellsOldNewsLess: false,
      believesRefusals: false,
      suspicionMembersMin: 10,
      gossipToDeadMs: 30_000,
    },
  };
}

/** Ours at memberlist's pace (period 1 s), so that messages are as many. */
export function oursAtOneSecond(overrides: SwimConfigInput = {}): Variant {
  return {
    name: 'ours',
    config: swimConfig({ ...SECOND, ...OURS_AT_ONE_SECOND, ...overrides }),
    switches: SWIM_SWITCHES,
  };
}

/** Ours with memberlist's multipliers, and silent about what hosts say. */
export function oursAtEqualSettings(): Variant {
  const equal = { suspicionMult: 4, suspicionMaxMult: 6, suspicionConfirmations: 2 };
  return {
    ...oursAtOneSecond(equal),
    name: 'ours, α = 4, refusals not believed',
    switches: { ...SWIM_SWITCHES, believesRefusals: false },
  };
}

/** Ours as it runs by default. */
export function oursByDefault(overrides: SwimConfigInput = {}): Variant {
  return { name: 'ours, preset lan', config: swimConfig(overrides), switches: SWIM_SWITCHES };
}

const SECOND: SwimConfigInput = {
  protocolPeriodMs: 1_000,
  probeTimeoutMs: 500,
  indirectProbes: 3,
  fallbackProbe: true,
  retransmitMult: 4,
  gossipIntervalMs: 200,
  gossipFanout: 3,
  streamTimeoutMs: 10_000,
};

/** Found by `--scenario detection` and `--scenario lifeguard`. */
const OURS_AT_ONE_SECOND: SwimConfigInput = {
  silenceMs: 0,
  suspicionMult: 2.5,
  suspicionMaxMult: 3,
  suspicionConfirmations: 2,
  syncIntervalMs: 30_000,
};
