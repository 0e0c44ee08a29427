import type { TimerTask } from '../../core/event.ts';
import { Fleet } from './fleet.ts';
import type { Variant } from './variant.ts';

/** One cell of Lifeguard's interval experiment. */
export interface Anomaly {
  /** Members that are anomalous, all at the same time. */
  readonly concurrent: number;
  /** How long they block, and how long they run in between. */
  readonly durationMs: number;
  readonly intervalMs: number;
  readonly blocks: Blocks;
}

/**
 * What blocks: the whole process, which gets no CPU; or each send and receive, as in the paper, where
 * suspicions have timers of their own, which run on.
 */
export type Blocks = 'process' | 'messages';

/** Plain data: it goes to another thread. */
export interface AnomalyOptions {
  readonly variant: Variant;
  readonly size: number;
  readonly seed: string;
  readonly anomaly: Anomaly;
}

export interface AnomalyResult {
  /** Healthy members called faulty, counted per event of one observer about one member. */
  readonly falsePositives: number;
  /** Those of healthy observers. */
  readonly falsePositivesAtHealthy: number;
  readonly sent: number;
  readonly bytes: number;
  readonly traceHash: string;
}

/**
 * Some members block and run, again and again, for two minutes (Lifeguard §V).
 *
 * A member that blocks is a process that gets no CPU: nothing is sent, read or timed out. Afterwards its
 * late timers run, and it reads what waits, 0.1 ms for each datagram.
 */
export function runAnomaly(options: AnomalyOptions): AnomalyResult {
  const { variant, size, anomaly } = options;
  const { config, switches } = variant;
  const fleet = new Fleet({
    size,
    seed: options.seed,
    config,
    switches,
    readMs: READ_MS,
  });
  const everybody = Array.from({ length: size }, (_, n) => n);
  const anomalous = new Set(
    fleet.prng.fork('anomalies').shuffle(everybody).slice(0, anomaly.concurrent),
  );
  let falsePositives = 0;
  let falsePositivesAtHealthy = 0;
  fleet.onState = (observer, member, state) => {
    if (state !== 'faulty' || anomalous.has(member)) return;
    falsePositives++;
    if (!anomalous.has(observer)) falsePositivesAtHealthy++;
  };
  fleet.run(QUIET_MS);
  const loopOf = anomaly.blocks === 'messages' ? goroutineOf : undefined;
  const endMs = fleet.nowMs + TEST_MS;
  while (fleet.nowMs < endMs) {
    for (const number of anomalous) fleet.agent(number).pause(loopOf);
    fleet.run(anomaly.durationMs);
    for (const number of anomalous) fleet.agent(number).resume();
    fleet.run(anomaly.intervalMs);
  }
  // What a pause has left behind may still become a verdict.
  fleet.run(QUIET_MS);
  const { sent, bytes } = fleet.network.counters;
  const { traceHash } = fleet;
  return { falsePositives, falsePositivesAtHealthy, sent, bytes, traceHash };
}

/** memberlist's goroutines: probing one after the other, gossip, push-pull, and a timer for each suspicion. */
function goroutineOf(task: TimerTask): string | undefined {
  switch (task.kind) {
    case 'period':
    case 'probe':
      // A verdict is given while the loop waits for an ack; it sends nothing.
      return task.kind === 'probe' && task.phase !== 'direct' ? 'verdict' : 'probe';
    case 'suspicion':
    case 'gossip':
    case 'sync':
    case 'cut':
      return task.kind;
    default:
      return undefined;
  }
}

const READ_MS = 0.1;
const QUIET_MS = 5_000;
const TEST_MS = 120_000;
