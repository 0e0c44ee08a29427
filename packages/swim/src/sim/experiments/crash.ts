import { Fleet } from './fleet.ts';
import type { Variant } from './variant.ts';

/** What became of one crash. */
export interface CrashTimes {
  /** From the crash until the first member holds it to be faulty. */
  readonly firstMs: number;
  /** Until all running members do. */
  readonly fullMs: number;
}

export interface CrashResult {
  readonly crashes: readonly CrashTimes[];
  /** Running members called faulty, each observer counted. */
  readonly falsePositives: number;
  /** Datagrams sent per running member and second, over the whole run. */
  readonly sentPerSecond: number;
  readonly traceHash: string;
}

/**
 * Members of a quiet cluster crash one after the other.
 *
 * A crash that is not known to all after `limitMs` counts with that time.
 */
export function runCrashes(options: {
  readonly variant: Variant;
  readonly size: number;
  readonly seed: string;
  readonly dropRate: number;
  readonly crashes: number;
  /** From one crash to the next, and from the last to the end. */
  readonly spacingMs: number;
  readonly limitMs: number;
}): CrashResult {
  const { variant, size, crashes, spacingMs, limitMs } = options;
  const fleet = new Fleet({
    size,
    seed: options.seed,
    config: variant.config,
    switches: variant.switches,
    faults: { dropRate: options.dropRate },
  });
  const prng = fleet.prng.fork('crashes');
  const victims = prng.shuffle(Array.from({ length: size }, (_, n) => n)).slice(0, crashes);
  const open = new Map<
    number,
    { atMs: number; firstMs: number; fullMs: number; known: Set<number> }
  >();
  const alive = new Set(fleet.running());
  let falsePositives = 0;
  fleet.onState = (observer, member, state, nowMs) => {
    if (state !== 'faulty') {
      open.get(member)?.known.delete(observer);
      return;
    }
    const crash = open.get(member);
    if (crash === undefined) {
      falsePositives++;
      return;
    }
    if (crash.firstMs === 0) crash.firstMs = nowMs - crash.atMs;
    crash.known.add(observer);
    // Later victims may have known it and be gone.
    const wanted = alive.size;
    if (crash.fullMs === 0 && crash.known.size >= wanted) {
      if ([...alive].every((each) => crash.known.has(each))) crash.fullMs = nowMs - crash.atMs;
    }
  };
  // Some periods, so that it is in step with no other member.
  fleet.run(variant.config.protocolPeriodMs * (3 + prng.next()));
  for (const victim of victims) {
    alive.delete(victim);
    open.set(victim, { atMs: fleet.nowMs, firstMs: 0, fullMs: 0, known: new Set() });
    fleet.crash(victim);
    fleet.run(spacingMs);
  }
  const allKnown = (): boolean => [...open.values()].every(({ fullMs }) => fullMs > 0);
  fleet.until(Math.max(0, limitMs - spacingMs), allKnown, 100);
  return {
    crashes: [...open.values()].map(({ firstMs, fullMs }) => ({
      firstMs: firstMs || limitMs,
      fullMs: fullMs || limitMs,
    })),
    falsePositives,
    sentPerSecond: fleet.network.counters.sent / (size - crashes / 2) / (fleet.nowMs / 1000),
    traceHash: fleet.traceHash,
  };
}
