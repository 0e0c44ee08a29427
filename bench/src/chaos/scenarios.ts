import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import type { Prng } from '@shoal/swim/sim';
import { type BrokerUnderTest, DAMAGES, isDamageable, isElastic } from './broker-under-test.ts';
import type { Checker } from './checker.ts';
import type { History } from './history.ts';
import type { KillFigures, KillWatch } from './kill-watch.ts';
import type { Workload } from './workload.ts';

export const SCENARIOS = ['kill-any', 'kill-all', 'add-remove', 'pause-any', 'damage-any'] as const;
export type Scenario = (typeof SCENARIOS)[number];

export interface ScenarioContext {
  readonly broker: BrokerUnderTest;
  readonly workload: Workload;
  readonly history: History;
  readonly checker: Checker;
  readonly watch: KillWatch;
  readonly random: Prng;
  /** How long the broker may take to be whole again; beyond it the round counts as failed. */
  readonly wholeTimeoutMs: number;
  /** Upper bound of the load between two kills and of a node's absence; short runs want less. */
  readonly calmMsMax: number;
}

export interface RoundFigures extends Partial<KillFigures> {
  /** What was done, in words. */
  readonly action: string;
  /** Messages acknowledged a second while the broker was whole, before the action. */
  readonly ackedPerSecond: number;
  /** Publishes sent and not acknowledged at the instant of the kill: anywhere, and at that node. */
  readonly inFlight?: number;
  readonly inFlightThere?: number;
  /** Those of `inFlight` for which no acknowledgement came before the process had ended either. */
  readonly cutOff?: number;
  /** From the first start, or the first change of members, until the broker called itself whole. */
  readonly wholeMs: number;
  readonly whole: boolean;
}

/** One round: load on a whole broker, then the action, then waiting until it is whole again. */
export async function playRound(
  scenario: Scenario,
  context: ScenarioContext,
): Promise<RoundFigures> {
  const ackedPerSecond = await calm(context);
  switch (scenario) {
    case 'kill-any':
      return { ...(await killAny(context)), ackedPerSecond };
    case 'kill-all':
      return { ...(await killAll(context)), ackedPerSecond };
    case 'add-remove':
      return { ...(await addRemove(context)), ackedPerSecond };
    case 'pause-any':
      return { ...(await pauseAny(context)), ackedPerSecond };
    case 'damage-any':
      return { ...(await damageAny(context)), ackedPerSecond };
  }
}

/** How long after the broker is whole a round waits for its clients to be served again. */
const CLIENTS_TIMEOUT_MS = 10_000;

type Played = Omit<RoundFigures, 'ackedPerSecond'>;

async function killAny(context: ScenarioContext): Promise<Played> {
  const { broker, random } = context;
  const name = random.pick(broker.names);
  await aim(context);
  const inFlight = await killNow(context, [name]);
  await pause(absence(context));
  const startMs = performance.now();
  await broker.start(name);
  context.history.append({ type: 'started', node: name });
  return { action: `killed ${name}`, ...inFlight, ...(await untilWhole(context, startMs)) };
}

async function killAll(context: ScenarioContext): Promise<Played> {
  const { broker } = context;
  await aim(context);
  const names = [...broker.names];
  const inFlight = await killNow(context, names);
  await pause(absence(context) / 2);
  const startMs = performance.now();
  await Promise.all(names.map((name) => broker.start(name)));
  for (const node of names) context.history.append({ type: 'started', node });
  return { action: 'killed all', ...inFlight, ...(await untilWhole(context, startMs)) };
}

async function addRemove(context: ScenarioContext): Promise<Played> {
  const { broker, history, random, watch } = context;
  if (!isElastic(broker)) throw new Error('this broker cannot add or remove nodes');
  const startMs = performance.now();
  watch.begin(startMs, []);
  const added = await broker.add();
  history.append({ type: 'added', node: added });
  await untilWhole(context, startMs);
  await pause(random.between(0, context.calmMsMax / 2));
  const removed = random.pick(broker.names);
  await broker.remove(removed);
  history.append({ type: 'removed', node: removed });
  return {
    action: `added ${added}, removed ${removed}`,
    ...(await untilWhole(context, startMs)),
  };
}

/** A node that stands still, is deposed, wakes up and does not know it. */
async function pauseAny(context: ScenarioContext): Promise<Played> {
  const { broker, history, random, watch } = context;
  const node = random.pick(broker.names);
  const forMs = random.between(200, 4_000);
  const startMs = performance.now();
  watch.begin(startMs, []);
  broker.signal(node, 'SIGSTOP');
  history.append({ type: 'paused', node, forMs });
  await pause(forMs);
  broker.signal(node, 'SIGCONT');
  const action = `paused ${node} for ${Math.round(forMs)} ms`;
  return { action, ...(await untilWhole(context, startMs)) };
}

/** A node is killed and comes back with its folder lost, put back from an older copy, or rotten. */
async function damageAny(context: ScenarioContext): Promise<Played> {
  const { broker, history, random } = context;
  if (!isDamageable(broker)) throw new Error('the folders of this broker cannot be damaged');
  const node = random.pick(broker.names);
  await aim(context);
  const inFlight = await killNow(context, [node]);
  const done = broker.damage(node, random.pick(DAMAGES), () => random.between(0, 1));
  history.append({ type: 'note', text: done });
  await pause(absence(context));
  const startMs = performance.now();
  await broker.mend(node);
  history.append({ type: 'started', node });
  return {
    action: `killed ${node}: ${done}`,
    ...inFlight,
    ...(await untilWhole(context, startMs)),
  };
}

/** Load while nothing is done to the broker; messages acknowledged a second. */
async function calm({ checker, random, calmMsMax }: ScenarioContext): Promise<number> {
  const acked = (): number => checker.figures.ackedQos1 + checker.figures.ackedQos2;
  const [before, sinceMs] = [acked(), performance.now()];
  await pause(random.between(calmMsMax / 3, calmMsMax));
  return ((acked() - before) * 1_000) / (performance.now() - sinceMs);
}

/** Every other kill waits, for at most 300 ms, until some publish is on its way. */
async function aim({ workload, random }: ScenarioContext): Promise<void> {
  if (random.chance(0.5)) return;
  const untilMs = performance.now() + 300;
  while (workload.inFlight === 0 && performance.now() < untilMs) await turn();
}

async function killNow(
  { broker, workload, history, watch }: ScenarioContext,
  names: readonly string[],
): Promise<{ inFlight: number; inFlightThere: number; cutOff: number }> {
  const clients = [...workload.publishers, ...workload.subscribers].map(({ client }) => client);
  const there = clients.filter(({ node }) => node !== undefined && names.includes(node));
  const inFlight = workload.inFlight;
  const inFlightThere = names.reduce((sum, name) => sum + workload.inFlightAt(name), 0);
  watch.begin(
    performance.now(),
    there.map(({ clientId }) => clientId),
  );
  const ends = names.map((name) => broker.kill(name, 'SIGKILL'));
  const common = { type: 'killed', signal: 'SIGKILL', inFlight, inFlightThere } as const;
  for (const node of names) history.append({ ...common, node });
  const open = clients.flatMap(({ state }) =>
    [...state.publishing.values()].map((publish) => ({ state, publish })),
  );
  await Promise.all(ends);
  const cutOff = open.filter(
    ({ state, publish }) => state.publishing.get(publish.packetId) === publish,
  ).length;
  return { inFlight, inFlightThere, cutOff };
}

/** How long a killed node stays away: sometimes not at all. */
function absence({ random, calmMsMax }: ScenarioContext): number {
  return random.chance(0.2) ? 0 : random.between(100, calmMsMax);
}

async function untilWhole(
  { broker, history, watch, wholeTimeoutMs }: ScenarioContext,
  startMs: number,
): Promise<KillFigures & { wholeMs: number; whole: boolean }> {
  const whole = await broker.whole(wholeTimeoutMs);
  const wholeMs = performance.now() - startMs;
  if (!whole) history.append({ type: 'note', text: `not whole: ${await broker.describe()}` });
  // A broker that is whole serves; that its clients have noticed may take a moment more.
  const untilMs = performance.now() + CLIENTS_TIMEOUT_MS;
  while (whole && !watch.complete && performance.now() < untilMs) await pause(10);
  return { ...watch.end(), wholeMs, whole };
}
