import { SwimError } from './errors.ts';

/** A number, whole or not, within its range. */
export interface NumberSetting {
  readonly type: 'int' | 'number';
  readonly min: number;
  readonly max: number;
  /** Of the preset `lan`. */
  readonly default: number;
}

export interface FlagSetting {
  readonly type: 'boolean';
  readonly default: boolean;
}

/** One row of {@link SWIM_SETTINGS}: what a schema of any kind can be made of. */
export type SwimSetting = NumberSetting | FlagSetting;

/**
 * Settings of the failure detector, with their ranges; every bound of the package is one of them.
 *
 * Fields say whether they come from SWIM (Das, Gupta, Motivala 2002), from Lifeguard (Dadgar,
 * Phillips, Currey 2017) or from here.
 */
export const SWIM_SETTINGS = {
  /** SWIM: time between two round-robin probes of one member; each probe ends within it. */
  protocolPeriodMs: real(10, 60_000, 250),
  /** SWIM: wait for a direct ack before helpers are asked. At most half of the period. */
  probeTimeoutMs: real(5, 30_000, 100),
  /** SWIM: helpers asked by ping-req, k. */
  indirectProbes: int(0, 16, 3),
  /** Asks a silent target over a stream too, beside the helpers. */
  fallbackProbe: flag(true),
  /**
   * SWIM §4.2: shortest suspicion = this × log10 max(32, n) × protocolPeriodMs. It applies where the
   * member's host refuses connections, to us and to others: its process has ended.
   */
  suspicionMult: real(1, 20, 1.6),
  /**
   * Shortest suspicion of a member that is silent, if that is longer: it may be paused, or its host. A
   * member that has paused before gets longer. See ADR 0018.
   */
  silenceMs: real(0, 600_000, 5_500),
  /** Lifeguard: longest suspicion (no other member suspects) = this × the shortest. */
  suspicionMaxMult: real(1, 20, 3),
  /** Lifeguard: independent suspicions that bring the longest down to the shortest. */
  suspicionConfirmations: int(0, 16, 3),
  /** Lifeguard: highest local health score; period and timeout are scaled by score + 1. */
  localHealthMax: int(0, 16, 4),
  /** SWIM §4.1: an update is sent this × ⌈log10(n + 1)⌉ times by each member. */
  retransmitMult: int(1, 16, 4),
  /** Time between two rounds of gossip while there is something to tell. */
  gossipIntervalMs: real(5, 10_000, 50),
  /** Members told per round of gossip. */
  gossipFanout: int(1, 16, 3),
  /** Time between two exchanges of the whole state with one random member. */
  syncIntervalMs: real(100, 3_600_000, 15_000),
  /** Time between attempts on faulty members (× n / 16 above 16) and on seeds while alone. */
  reconnectIntervalMs: real(50, 600_000, 1_000),
  /**
   * Time between two rounds of discovery; while no peer is known reconnectIntervalMs, if that is
   * shorter. With n members, n > 8, it is n / 8 times as long.
   */
  discoveryIntervalMs: real(50, 3_600_000, 30_000),
  /** How long faulty and departed members are remembered. */
  forgetAfterMs: real(1_000, 30 * 86_400_000, 86_400_000),
  /** A timer later than this means that this process stalled: it then accuses no member. */
  stallThresholdMs: real(5, 10_000, 100),
  /** Longest wait for the departure to be spread. */
  leaveTimeoutMs: real(10, 60_000, 1_000),
  /** Longest life of one stream, connecting included. */
  streamTimeoutMs: real(50, 60_000, 3_000),
  /** Payload of one datagram. */
  datagramBytesMax: int(1_200, 8_192, 1_400),
  /** Payload of one stream request or response. */
  streamBytesMax: int(4_096, 64 * 1_048_576, 4 * 1_048_576),
  /** Members known, dead ones included; beyond it dead ones go first, then newcomers wait. */
  membersMax: int(2, 65_536, 16_384),
  /** Updates waiting to be spread; beyond it those spread most are given up. */
  updatesMax: int(16, 65_536, 4_096),
  /** User events waiting to be gossiped and, apart, kept for exchanges of the whole state. */
  eventsMax: int(16, 4_096, 256),
  /** User events a second that a member may broadcast; twice as many at once. */
  eventRateMax: real(0.1, 1_000, 20),
  /** How long a user event may be under way; members that are away for longer miss it. */
  eventKeepMs: real(1_000, 3_600_000, 60_000),
  /** Probes under way for others (ping-req) and, apart, for ourselves. */
  probesMax: int(4, 65_536, 1_024),
  /**
   * Rapid §4.2, low watermark: hosts that must accuse a suspect before it holds a change of the stable
   * view.
   */
  cutLow: int(1, 17, 2),
  /** Rapid §4.2, high watermark: hosts that must accuse a suspect for its refutation to be a flap. */
  cutHigh: int(1, 17, 3),
  /** Longest that a faulty member stays in the stable view because others are suspect too. */
  cutHoldMaxMs: real(0, 600_000, 10_000),
  /** Fraction of the other hosts; when more are suspect at once, this member doubts itself. */
  cutMassFraction: real(0.1, 1, 0.5),
  /** Longest that a faulty member stays in the stable view while this member doubts itself. */
  cutMassHoldMaxMs: real(0, 3_600_000, 30_000),
  /** Shortest time between two changes of the stable view. */
  cutBatchMs: real(0, 60_000, 100),
  /**
   * Refutations within `flapWindowMs` that make a member unstable, so that it leaves the stable view:
   * of a verdict (faulty) it counts one, of a suspicion up to `cutHigh` a half.
   */
  flapsMax: int(1, 100, 2),
  flapWindowMs: real(1_000, 86_400_000, 300_000),
  /** An unstable member is let in again after so long without a flap; doubles with each relapse. */
  flapQuietMs: real(1_000, 86_400_000, 60_000),
  /** Bound of that time. */
  flapQuietMaxMs: real(1_000, 86_400_000, 3_600_000),
} as const satisfies Readonly<Record<string, SwimSetting>>;

export type Settings = typeof SWIM_SETTINGS;

/** Validated, frozen settings. */
export type SwimConfig = {
  readonly [Name in keyof Settings]: Settings[Name] extends FlagSetting ? boolean : number;
};

/** Settings as given: every field optional. */
export type SwimConfigInput = {
  readonly [Name in keyof Settings]?: SwimConfig[Name] | undefined;
};

/** Starting points; single fields override them. */
export const SWIM_PRESETS = {
  /** One site, the default: a crash is known to all in less than 2 s up to 32 members. See ADR 0012. */
  lan: {},
  /** Between sites: round trips up to 300 ms and some loss. */
  wan: {
    protocolPeriodMs: 2_000,
    probeTimeoutMs: 800,
    suspicionMult: 1.5,
    silenceMs: 9_000,
    gossipIntervalMs: 250,
    syncIntervalMs: 30_000,
    reconnectIntervalMs: 3_000,
    streamTimeoutMs: 10_000,
  },
  /** All on one machine, which may be busy: no packet is lost there, but every member may have to wait. */
  local: {
    protocolPeriodMs: 250,
    probeTimeoutMs: 120,
    indirectProbes: 1,
    retransmitMult: 2,
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
    silenceMs: 0,
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
  const problems: string[] = [];
  const chosen = Object.hasOwn(SWIM_PRESETS, preset) ? SWIM_PRESETS[preset] : undefined;
  if (chosen === undefined) problems.push(`preset: there is none named ${String(preset)}`);
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    problems.push('must be an object of settings');
  }
  const given: Readonly<Record<string, unknown>> = { ...chosen, ...input };
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(SWIM_SETTINGS, name)) problems.push(`${name}: there is no such setting`);
  }
  const config: Record<string, number | boolean> = {};
  for (const [name, setting] of Object.entries<SwimSetting>(SWIM_SETTINGS)) {
    const value = given[name] ?? setting.default;
    const problem = problemOf(setting, value);
    if (problem !== undefined) problems.push(`${name}: ${problem}`);
    config[name] = value as number | boolean;
  }
  if (problems.length === 0) problems.push(...crossProblems(config as SwimConfig));
  if (problems.length > 0) throw new SwimError('SWIM_ERR_CONFIG', problems.join('; '));
  Object.freeze(config);
  VALIDATED.add(config);
  return config as SwimConfig;
}

/**
 * What an agent is given as configuration: one made by {@link swimConfig}, or settings for it.
 *
 * @throws SwimError SWIM_ERR_CONFIG
 */
export function completeConfig(given: SwimConfigInput | undefined): SwimConfig {
  return given !== undefined && VALIDATED.has(given) ? (given as SwimConfig) : swimConfig(given);
}

/** @returns undefined if the value fits */
function problemOf(setting: SwimSetting, value: unknown): string | undefined {
  if (setting.type === 'boolean') {
    return typeof value === 'boolean' ? undefined : 'must be true or false';
  }
  const { type, min, max } = setting;
  const isFit = typeof value === 'number' && value >= min && value <= max;
  if (isFit && (type === 'number' || Number.isInteger(value))) return undefined;
  return `must be ${type === 'int' ? 'an integer' : 'a number'} of ${min} to ${max}`;
}

function crossProblems(config: SwimConfig): string[] {
  const problems: string[] = [];
  for (const [low, high] of ORDERED) {
    if (config[low] > config[high]) problems.push(`${low}: must be at most ${high}`);
  }
  if (config.probeTimeoutMs * 2 > config.protocolPeriodMs) {
    problems.push(
      'probeTimeoutMs: must be at most half of protocolPeriodMs, so that helpers have time to answer',
    );
  }
  return problems;
}

/** Made by {@link swimConfig}. */
const VALIDATED = new WeakSet<object>();

/** Of each pair, the first is at most the second. */
const ORDERED = [
  ['cutLow', 'cutHigh'],
  ['cutHoldMaxMs', 'cutMassHoldMaxMs'],
  ['flapQuietMs', 'flapQuietMaxMs'],
] as const;

function int(min: number, max: number, preset: number): NumberSetting {
  return { type: 'int', min, max, default: preset };
}

function real(min: number, max: number, preset: number): NumberSetting {
  return { type: 'number', min, max, default: preset };
}

function flag(preset: boolean): FlagSetting {
  return { type: 'boolean', default: preset };
}
