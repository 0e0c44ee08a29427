import { z } from 'zod';
import { SwimError } from './errors.ts';

/** Of each pair, the first is at most the second. */
const ORDERED = [
  ['cutLow', 'cutHigh'],
  ['cutHoldMaxMs', 'cutMassHoldMaxMs'],
  ['flapQuietMs', 'flapQuietMaxMs'],
] as const;

/**
 * Settings of the failure detector; every bound of the package is one of them.
 *
 * Fields say whether they come from SWIM (Das, Gupta, Motivala 2002), from Lifeguard (Dadgar,
 * Phillips, Currey 2017) or from here.
 */
export const swimConfigSchema = z
  .strictObject({
    /** SWIM: time between two round-robin probes of one member; each probe ends within it. */
    protocolPeriodMs: z.number().min(10).max(60_000).default(125),
    /** SWIM: wait for a direct ack before helpers are asked. At most half of the period. */
    probeTimeoutMs: z.number().min(5).max(30_000).default(60),
    /** SWIM: helpers asked by ping-req, k. */
    indirectProbes: z.int().min(0).max(16).default(3),
    /** Asks a silent target over a stream too, beside the helpers. */
    fallbackProbe: z.boolean().default(true),
    /** SWIM §4.2: shortest suspicion = this × log10 max(32, n) × protocolPeriodMs. */
    suspicionMult: z.number().min(1).max(20).default(5.5),
    /** Lifeguard: longest suspicion (nobody else suspects) = this × the shortest. */
    suspicionMaxMult: z.number().min(1).max(20).default(3),
    /** Lifeguard: independent suspicions that bring the longest down to the shortest. */
    suspicionConfirmations: z.int().min(0).max(16).default(3),
    /** Lifeguard: highest local health score; period and timeout are scaled by score + 1. */
    localHealthMax: z.int().min(0).max(16).default(4),
    /** SWIM §4.1: an update is sent this × ⌈log10(n + 1)⌉ times by each member. */
    retransmitMult: z.int().min(1).max(16).default(4),
    /** Time between two rounds of gossip while there is something to tell. */
    gossipIntervalMs: z.number().min(5).max(10_000).default(50),
    /** Members told per round of gossip. */
    gossipFanout: z.int().min(1).max(16).default(3),
    /** Time between two exchanges of the whole state with one random member. */
    syncIntervalMs: z.number().min(100).max(3_600_000).default(15_000),
    /** Time between attempts on faulty members (× n / 16 above 16) and on seeds while alone. */
    reconnectIntervalMs: z.number().min(50).max(600_000).default(1_000),
    /**
     * Time between two rounds of discovery; while no peer is known reconnectIntervalMs, if that is
     * shorter. With more than eight members an eighth of their number times as long.
     */
    discoveryIntervalMs: z.number().min(50).max(3_600_000).default(30_000),
    /** How long faulty and departed members are remembered. */
    forgetAfterMs: z
      .number()
      .min(1_000)
      .max(30 * 86_400_000)
      .default(86_400_000),
    /** A timer later than this means that this process stalled: it then accuses nobody. */
    stallThresholdMs: z.number().min(5).max(10_000).default(100),
    /** Longest wait for the departure to be spread. */
    leaveTimeoutMs: z.number().min(10).max(60_000).default(1_000),
    /** Longest life of one stream, connecting included. */
    streamTimeoutMs: z.number().min(50).max(60_000).default(3_000),
    /** Payload of one datagram. */
    datagramBytesMax: z.int().min(1_200).max(8_192).default(1_400),
    /** Payload of one stream request or response. */
    streamBytesMax: z
      .int()
      .min(4_096)
      .max(64 * 1_048_576)
      .default(4 * 1_048_576),
    /** Members known, dead ones included; beyond it dead ones go first, then newcomers wait. */
    membersMax: z.int().min(2).max(65_536).default(16_384),
    /** Updates waiting to be spread; beyond it those spread most are given up. */
    updatesMax: z.int().min(16).max(65_536).default(4_096),
    /** User events waiting to be gossiped and, apart, kept for exchanges of the whole state. */
    eventsMax: z.int().min(16).max(4_096).default(256),
    /** User events a second that a member may broadcast; twice as many at once. */
    eventRateMax: z.number().min(0.1).max(1_000).default(20),
    /** How long a user event may be under way; members that are away for longer miss it. */
    eventKeepMs: z.number().min(1_000).max(3_600_000).default(60_000),
    /** Probes under way for others (ping-req) and, apart, for ourselves. */
    probesMax: z.int().min(4).max(65_536).default(1_024),
    /**
     * Rapid §4.2, low watermark: hosts that must accuse a suspect before it holds a change of the stable
     * view.
     */
    cutLow: z.int().min(1).max(17).default(2),
    /** Rapid §4.2, high watermark: hosts that must accuse a suspect for its refutation to be a flap. */
    cutHigh: z.int().min(1).max(17).default(3),
    /** Longest that a faulty member stays in the stable view because others are suspect too. */
    cutHoldMaxMs: z.number().min(0).max(600_000).default(10_000),
    /** Fraction of the other hosts; when more are suspect at once, this member doubts itself. */
    cutMassFraction: z.number().min(0.1).max(1).default(0.5),
    /** Longest that a faulty member stays in the stable view while this member doubts itself. */
    cutMassHoldMaxMs: z.number().min(0).max(3_600_000).default(30_000),
    /** Shortest time between two changes of the stable view. */
    cutBatchMs: z.number().min(0).max(60_000).default(100),
    /**
     * Refutations within `flapWindowMs` that make a member unstable, so that it leaves the stable view:
     * of a verdict (faulty) it counts one, of a suspicion up to `cutHigh` a half.
     */
    flapsMax: z.int().min(1).max(100).default(2),
    flapWindowMs: z.number().min(1_000).max(86_400_000).default(300_000),
    /** An unstable member is let in again after so long without a flap; doubles with each relapse. */
    flapQuietMs: z.number().min(1_000).max(86_400_000).default(60_000),
    /** Bound of that time. */
    flapQuietMaxMs: z.number().min(1_000).max(86_400_000).default(3_600_000),
  })
  .check((context) => {
    const { protocolPeriodMs, probeTimeoutMs } = context.value;
    for (const [low, high] of ORDERED) {
      if (context.value[low] <= context.value[high]) continue;
      context.issues.push({
        code: 'custom',
        path: [low],
        message: `must be at most ${high}`,
        input: context.value[low],
      });
    }
    if (probeTimeoutMs * 2 > protocolPeriodMs) {
      context.issues.push({
        code: 'custom',
        path: ['probeTimeoutMs'],
        message: 'must be at most half of protocolPeriodMs, so that helpers have time to answer',
        input: probeTimeoutMs,
      });
    }
  });

/** Validated, frozen settings. */
export type SwimConfig = Readonly<z.infer<typeof swimConfigSchema>>;

/** Settings as given: every field optional. */
export type SwimConfigInput = z.input<typeof swimConfigSchema>;

/** Starting points; single fields override them. */
export const SWIM_PRESETS = {
  /** One site, the default: a crash is known to all in less than 2 s up to 32 members. See ADR 0012. */
  lan: {},
  /** Between sites: round trips up to 300 ms and some loss. */
  wan: {
    protocolPeriodMs: 2_000,
    probeTimeoutMs: 800,
    suspicionMult: 3,
    gossipIntervalMs: 250,
    syncIntervalMs: 30_000,
    reconnectIntervalMs: 3_000,
    streamTimeoutMs: 10_000,
  },
  /** All on one machine, which may be busy: nothing is lost there, but everybody may have to wait. */
  local: {
    protocolPeriodMs: 250,
    probeTimeoutMs: 120,
    indirectProbes: 1,
    retransmitMult: 2,
    suspicionMult: 5,
    syncIntervalMs: 5_000,
    reconnectIntervalMs: 500,
    discoveryIntervalMs: 5_000,
    streamTimeoutMs: 1_000,
    leaveTimeoutMs: 300,
  },
  /** Tests with real sockets on one machine. */
  test: {
    protocolPeriodMs: 100,
    probeTimeoutMs: 40,
    gossipIntervalMs: 20,
    syncIntervalMs: 1_000,
    reconnectIntervalMs: 100,
    discoveryIntervalMs: 1_000,
    suspicionMult: 3,
    streamTimeoutMs: 1_000,
    leaveTimeoutMs: 200,
  },
} as const satisfies Record<string, SwimConfigInput>;

export type SwimPreset = keyof typeof SWIM_PRESETS;

/**
 * Settings from a preset and overrides, validated and frozen.
 *
 * @throws SwimError SWIM_ERR_CONFIG naming path and reason; unknown keys are refused.
 */
export function swimConfig(input: SwimConfigInput = {}, preset: SwimPreset = 'lan'): SwimConfig {
  const result = swimConfigSchema.safeParse({ ...SWIM_PRESETS[preset], ...input });
  if (!result.success) {
    const reasons = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new SwimError('SWIM_ERR_CONFIG', reasons.join('; '), { cause: result.error });
  }
  return Object.freeze(result.data);
}
