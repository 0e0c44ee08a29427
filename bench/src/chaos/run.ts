import { Prng } from '@shoal/swim/sim';
import type { BrokerUnderTest } from './broker-under-test.ts';
import { Checker, type Verdict } from './checker.ts';
import { type Distribution, distribution } from './figures.ts';
import { History, type StampedEvent } from './history.ts';
import { type KillFigures, KillWatch } from './kill-watch.ts';
import { playRound, type RoundFigures, type Scenario } from './scenarios.ts';
import { Workload } from './workload.ts';

export interface RunOptions {
  readonly broker: BrokerUnderTest;
  readonly scenario: Scenario;
  readonly rounds: number;
  readonly publishers: number;
  readonly subscribers: number;
  /** Messages a second, all publishers together. */
  readonly rate: number;
  readonly seed: string;
  /** Upper bound of the load between two kills and of a node's absence; default 2,500. */
  readonly calmMsMax?: number;
  /** How long the broker may take to be whole again after a restart; default 60,000. */
  readonly wholeTimeoutMs?: number;
  /** At the end, waiting for what is owed ends once nothing has come for this long; default 30,000. */
  readonly drainIdleMs?: number;
  /** Every so many rounds publishing stops until all is delivered, so that a loss shows early. */
  readonly drainEvery?: number;
  /** Stop after the first round that showed a violation; default true. */
  readonly failFast?: boolean;
  readonly onRound?: (round: number, figures: RoundFigures, checker: Checker) => void;
  readonly onEvent?: (event: StampedEvent) => void;
}

export interface RunReport {
  readonly ok: boolean;
  readonly verdict: Verdict;
  readonly rounds: readonly RoundFigures[];
  /** Rounds after which the broker did not become whole in time. */
  readonly notWhole: number;
  /** Connections given up because the broker acknowledged nothing for long. */
  readonly stalls: number;
  /** Publishes that were still unacknowledged at the end, with every node up. */
  readonly unsettled: number;
  readonly hops: number;
  readonly kills: number;
  /** Kills with at least one publish sent and not acknowledged. */
  readonly killsInFlight: number;
  /** Kills that cut at least one publish off: sent, and unacknowledged when the process had ended. */
  readonly killsCutOff: number;
  readonly seconds: number;
  readonly ackedPerSecond: Distribution | null;
  readonly firstAckMs: Distribution | null;
  readonly firstMessageMs: Distribution | null;
  readonly reconnectedMs: Distribution | null;
  readonly movedMessageMs: Distribution | null;
  readonly wholeMs: Distribution | null;
  /** What clients and operator last saw of the first violations' messages and clients. */
  readonly evidence: readonly StampedEvent[];
}

/** Plays a whole run against a broker that has been started, and judges it. */
export async function runChaos(options: RunOptions): Promise<RunReport> {
  const startMs = performance.now();
  const checker = new Checker();
  const watch = new KillWatch();
  const listeners = [
    (event: StampedEvent) => checker.observe(event),
    (event: StampedEvent) => watch.observe(event),
    ...(options.onEvent ? [options.onEvent] : []),
  ];
  const history = new History({ nowMs: () => performance.now(), listeners });
  const random = new Prng(options.seed);
  const { broker, publishers, subscribers, rate, drainIdleMs = 30_000 } = options;
  const endpoints = () => broker.names.map((name) => broker.endpoint(name));
  const load = { publishers, subscribers, rate, label: `chaos-${options.seed}` };
  const workload = new Workload({ history, checker, random, endpoints, ...load });
  const rounds: RoundFigures[] = [];
  try {
    await workload.start();
    const { calmMsMax = 2_500, wholeTimeoutMs = 60_000 } = options;
    const limits = { calmMsMax, wholeTimeoutMs };
    const context = { broker, workload, history, checker, watch, random, ...limits };
    for (let round = 1; round <= options.rounds; round++) {
      const figures = await playRound(options.scenario, context);
      rounds.push(figures);
      options.onRound?.(round, figures, checker);
      const violated = checker.violationCount > 0 || !figures.whole;
      if (violated && options.failFast !== false) break;
      if (round % (options.drainEvery ?? 25) === 0 && round < options.rounds) {
        const { missing } = await workload.drain(drainIdleMs);
        if (missing > 0 && options.failFast !== false) break;
        workload.resume();
      }
    }
    await workload.drain(drainIdleMs);
    await workload.linger(Math.min(2_000, drainIdleMs));
    const unsettled = workload.publishers.reduce(
      (n, { client }) => n + client.state.outstanding,
      0,
    );
    return report({ rounds, checker, history, workload, unsettled, startMs });
  } finally {
    await workload.stop();
  }
}

function report(run: {
  rounds: readonly RoundFigures[];
  checker: Checker;
  history: History;
  workload: Workload;
  unsettled: number;
  startMs: number;
}): RunReport {
  const { rounds, checker, workload, unsettled } = run;
  const verdict = checker.verdict();
  const stalls = workload.publishers.reduce((sum, publisher) => sum + publisher.stalls, 0);
  const notWhole = rounds.filter(({ whole }) => !whole).length;
  const killed = rounds.filter(({ inFlight }) => inFlight !== undefined);
  const times = (name: keyof KillFigures | 'wholeMs' | 'ackedPerSecond'): Distribution | null =>
    distribution(rounds.map((r) => r[name]).filter((ms) => ms !== undefined));
  return {
    ok: verdict.ok && notWhole === 0 && unsettled === 0,
    verdict,
    rounds,
    notWhole,
    stalls,
    unsettled,
    hops: workload.subscribers.reduce((sum, { hops }) => sum + hops, 0),
    kills: killed.length,
    killsInFlight: killed.filter(({ inFlight = 0 }) => inFlight > 0).length,
    killsCutOff: killed.filter(({ cutOff = 0 }) => cutOff > 0).length,
    seconds: Math.round((performance.now() - run.startMs) / 100) / 10,
    ackedPerSecond: times('ackedPerSecond'),
    firstAckMs: times('firstAckMs'),
    firstMessageMs: times('firstMessageMs'),
    reconnectedMs: times('reconnectedMs'),
    movedMessageMs: times('movedMessageMs'),
    wholeMs: times('wholeMs'),
    evidence: evidence(verdict, run.history),
  };
}

/** The last thousand events that concern the first few violations. */
export function evidence(verdict: Verdict, history: History): StampedEvent[] {
  const first = verdict.violations.slice(0, 5);
  const clients = new Set(first.map(({ client }) => client));
  const messages = new Set(first.map(({ message }) => message));
  const concerns = (event: StampedEvent): boolean => {
    if ('message' in event) {
      const { publisher, topic, qos, seq } = event.message;
      return messages.has(`${publisher}:${topic}:qos${qos}#${seq}`);
    }
    return !('client' in event) || clients.has(event.client);
  };
  return history.recent(1_000, concerns);
}
