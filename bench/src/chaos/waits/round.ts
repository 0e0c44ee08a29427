/** One round: publishes through every node, a fault, its end, and what came of it. */
import os from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import type { Prng } from '@shoal/swim/sim';
import { Checker, type Verdict } from '../checker.ts';
import type { LocalCluster } from '../cluster.ts';
import { History, type StampedEvent } from '../history.ts';
import { evidence } from '../run.ts';
import { OneByOne, StayingSubscriber } from './clients.ts';
import type { Fault } from './fault.ts';
import { type ChannelFigures, WaitWatch } from './figures.ts';
import { type Channel, planChannels, type Seat } from './shapes.ts';

export interface RoundOptions {
  readonly cluster: LocalCluster;
  readonly fault: Fault;
  /** Keeps the Client Identifiers of the rounds apart. */
  readonly label: string;
  readonly random: Prng;
  /** QoS 1 and 2 in turn; else QoS 1 alone. */
  readonly qos2: boolean;
  readonly onEvent?: (event: StampedEvent) => void;
}

export interface Round {
  readonly what: string;
  /** Load average of the machine at the end of the fault: many for few cores spoils the times. */
  readonly load: number;
  readonly channels: readonly ChannelFigures[];
  /** From the end of the fault until every node answered `/ready` with 200 for good; undefined: it did not. */
  readonly readyMs: number | undefined;
  /** The same, until all copies were in place. */
  readonly wholeMs: number | undefined;
  /** Connections that the nodes ended or that broke, by reason code. */
  readonly ends: Readonly<Record<string, number>>;
  /** Publishes that nobody acknowledged in the end. */
  readonly unsettled: number;
  readonly verdict: Verdict;
  /** What clients saw of the first violations. */
  readonly evidence: readonly StampedEvent[];
}

const CALM_MS = 1_500;
const READY_TIMEOUT_MS = 60_000;
/** So long all have to be ready, one answer after the other, that it counts. */
const READY_FOR_MS = 2_000;
const DRAIN_IDLE_MS = 30_000;
/** Client Identifiers from which sessions are chosen by where they are. */
const SEATS = 160;
const SEATS_AT_ONCE = 16;
const TICK_MS = 4;

export async function playRound(options: RoundOptions): Promise<Round> {
  const { cluster, fault, label, random, qos2 } = options;
  const checker = new Checker();
  const watch = new WaitWatch();
  const history = new History({
    nowMs: () => performance.now(),
    listeners: [
      (event) => checker.observe(event),
      (event) => watch.observe(event),
      (event) => options.onEvent?.(event),
    ],
  });
  const seats = await seatsOf(cluster, label);
  const channels = planChannels({ concern: fault.concern, seats, label, random, qos2 });
  const clients = clientsOf(channels, cluster, history, random);
  const { publishers, subscribers } = clients;
  const ticker = setInterval(() => {
    for (const publisher of publishers) publisher.tick(performance.now());
  }, TICK_MS);
  try {
    await Promise.all(subscribers.map((subscriber) => subscriber.start()));
    await Promise.all(publishers.map((publisher) => publisher.start()));
    for (const publisher of publishers) publisher.begin();
    await pause(CALM_MS);
    history.append({ type: 'note', text: `begins: ${fault.what}` });
    const beginMs = performance.now();
    await fault.begin();
    await pause(fault.lastsMs);
    history.append({ type: 'note', text: 'ends' });
    const load = os.loadavg()[0] ?? 0;
    const endMs = performance.now();
    await fault.end();
    const readyMs = await readyAfter(cluster, '/ready', endMs);
    const wholeMs = await readyAfter(cluster, '/ready?replicated=true', endMs);
    for (const publisher of publishers) publisher.pause();
    await drain(publishers, checker);
    const times = { beginMs, endMs, nowMs: performance.now() };
    const verdict = checker.verdict();
    return {
      what: fault.what,
      load,
      channels: channels.map(({ of, qos, topic, publisher, subscriber }) => {
        const places = { node: publisher.node, subscriberNode: subscriber.node };
        return { of, qos, topic, ...places, ...watch.waitsOf(publisher.clientId, times) };
      }),
      readyMs,
      wholeMs,
      ends: watch.ends,
      unsettled: publishers.filter(({ settled }) => !settled).length,
      verdict,
      evidence: verdict.ok ? [] : evidence(verdict, history),
    };
  } finally {
    clearInterval(ticker);
    await Promise.all([...publishers, ...subscribers].map(({ roamer }) => roamer.stop()));
  }
}

function clientsOf(
  channels: readonly Channel[],
  cluster: LocalCluster,
  history: History,
  random: Prng,
): { publishers: OneByOne[]; subscribers: StayingSubscriber[] } {
  const place = ({ clientId, node }: Channel['publisher'], persistent: boolean) => {
    const endpoint = cluster.endpoint(node);
    return { clientId, endpoint, persistent, history, random: random.fork(clientId) };
  };
  return {
    publishers: channels.map(
      ({ topic, qos, publisher, persistent }) =>
        new OneByOne(topic, qos, place(publisher, persistent)),
    ),
    subscribers: channels.map(
      ({ topic, subscriber, persistent }) =>
        new StayingSubscriber(topic, place(subscriber, persistent)),
    ),
  };
}

/** Where the broker would keep, or keeps, the sessions of some new Client Identifiers. */
async function seatsOf(cluster: LocalCluster, label: string): Promise<Seat[]> {
  const seats: Seat[] = [];
  const ask = async (clientId: string, n: number): Promise<void> => {
    const node = cluster.names[n % cluster.names.length] as string;
    const answer = await cluster.get(node, `/api/v1/sessions/${clientId}/explain`);
    const body = answer?.body as
      | { leader?: string | null; view?: { voters: string[] } | null }
      | undefined;
    if (body?.leader && body.view) {
      seats.push({ clientId, leader: body.leader, voters: body.view.voters });
    }
  };
  const names = Array.from({ length: SEATS }, (_, n) => `${label}-seat-${n}`);
  for (let from = 0; from < SEATS; from += SEATS_AT_ONCE) {
    await Promise.all(names.slice(from, from + SEATS_AT_ONCE).map(ask));
  }
  if (seats.length === 0) throw new Error('no node says where a session would be');
  // Answers come in any order; what is drawn from them must not.
  return seats.sort((a, b) => names.indexOf(a.clientId) - names.indexOf(b.clientId));
}

/** When the last answer other than 200 had come, once all have been 200 for a while. */
async function readyAfter(
  cluster: LocalCluster,
  route: string,
  sinceMs: number,
): Promise<number | undefined> {
  let readySinceMs: number | undefined;
  for (;;) {
    const answers = await Promise.all(cluster.names.map((name) => cluster.get(name, route)));
    const nowMs = performance.now();
    if (answers.every((answer) => answer?.status === 200)) readySinceMs ??= nowMs;
    else readySinceMs = undefined;
    if (readySinceMs !== undefined && nowMs - readySinceMs > READY_FOR_MS) {
      return readySinceMs - sinceMs;
    }
    if (nowMs - sinceMs > READY_TIMEOUT_MS) return undefined;
    await pause(20);
  }
}

/** Until all is acknowledged and delivered, or nothing has moved for long. */
async function drain(publishers: readonly OneByOne[], checker: Checker): Promise<void> {
  let last = '';
  let movedMs = performance.now();
  for (;;) {
    const open = publishers.filter(({ settled }) => !settled).length;
    const { count: missing } = checker.missing(0);
    if (open === 0 && missing === 0) return;
    const progress = `${open} ${missing} ${Object.values(checker.figures).join(' ')}`;
    if (progress !== last) {
      last = progress;
      movedMs = performance.now();
    }
    if (performance.now() - movedMs > DRAIN_IDLE_MS) return;
    await pause(50);
  }
}
