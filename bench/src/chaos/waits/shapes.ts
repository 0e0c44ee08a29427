/**
 * What can happen to a cluster while one publishes: a cut between its nodes, or the loss of one; and whom it
 * concerns. Pure.
 */
import type { Prng } from '@shoal/swim/sim';

/** The way from one node to another, in this direction alone. */
export interface Way {
  readonly from: string;
  readonly to: string;
}

export const CUT_SHAPES = [
  'pair',
  'one-way',
  'one-way-all',
  'islands',
  'bridge',
  'isolate',
] as const;
export type CutShape = (typeof CUT_SHAPES)[number];

export const LOSS_SHAPES = ['kill', 'stop'] as const;
export type LossShape = (typeof LOSS_SHAPES)[number];

/** Both families, and their shapes. */
export const WAIT_SHAPES = { cut: CUT_SHAPES, loss: LOSS_SHAPES } as const;
export type WaitScenario = keyof typeof WAIT_SHAPES;
export const WAIT_SCENARIOS = ['cut', 'loss'] as const satisfies readonly WaitScenario[];

/** `name` if it is a scenario of waits. */
export function waitScenario(name: string): WaitScenario | undefined {
  return WAIT_SCENARIOS.find((scenario) => scenario === name);
}

/** Fewest nodes for which all shapes differ from no fault at all. */
export const NODES_MIN = 3;

/**
 * The ways that a cut closes.
 *
 * ```text
 * pair         1 ╳ 2, all others reach both        islands  1 2 3 │ 4 5
 * one-way      1 → 2 is closed, 2 → 1 is open      bridge   1 2 ─ 3 ─ 4 5
 * one-way-all  1 → all others are closed           isolate  1 │ 2 3 4 5
 * ```
 *
 * @param names at least {@link NODES_MIN}; their order says who has which part
 */
export function waysCut(shape: CutShape, names: readonly string[]): Way[] {
  const [first = '', second = ''] = names;
  const others = names.slice(1);
  const smaller = Math.floor(names.length / 2);
  switch (shape) {
    case 'pair':
      return both([first], [second]);
    case 'one-way':
      return oneWay([first], [second]);
    case 'one-way-all':
      return oneWay([first], others);
    case 'islands':
      return both(names.slice(0, names.length - smaller), names.slice(-smaller));
    case 'bridge': {
      const island = Math.floor((names.length - 1) / 2);
      return both(names.slice(0, island), names.slice(-island));
    }
    case 'isolate':
      return both([first], others);
  }
}

function oneWay(from: readonly string[], to: readonly string[]): Way[] {
  return from.flatMap((a) => to.map((b) => ({ from: a, to: b })));
}

function both(a: readonly string[], b: readonly string[]): Way[] {
  return [...oneWay(a, b), ...oneWay(b, a)];
}

/** Who reaches whom during a cut, directly or by way of others. */
export class Reach {
  readonly #closed: ReadonlySet<string>;
  readonly #sides = new Map<string, ReadonlySet<string>>();

  constructor(names: readonly string[], cut: readonly Way[]) {
    this.#closed = new Set(cut.map(({ from, to }) => `${from}>${to}`));
    for (const name of names) {
      if (this.#sides.has(name)) continue;
      const side = new Set([name]);
      // Whoever is added while this goes on is looked at, too.
      for (const at of side) {
        for (const other of names) if (this.direct(at, other)) side.add(other);
      }
      for (const member of side) this.#sides.set(member, side);
    }
  }

  /** Whether both ways between two nodes are open. */
  direct(a: string, b: string): boolean {
    return !this.#closed.has(`${a}>${b}`) && !this.#closed.has(`${b}>${a}`);
  }

  /** All nodes that this one reaches by open ways, itself among them. */
  side(name: string): ReadonlySet<string> {
    return this.#sides.get(name) ?? new Set();
  }
}

/** Where the broker keeps the session of a Client Identifier. */
export interface Seat {
  readonly clientId: string;
  readonly leader: string;
  readonly voters: readonly string[];
}

/** How a fault concerns the publishes of one publisher to one subscriber. */
export const CLASSES = {
  apart: '(a) not concerned',
  'live-apart': '(a) live subscriber, not concerned',
  touched: '(b) concerned, majority on its side',
  'live-across': '(b) live subscriber across the cut',
  'live-beyond': '(b) live subscriber, no path to it',
  'copy-lost': '(b) a copy at the lost node',
  'leader-lost': '(b) the leader at the lost node',
  minority: '(c) no majority on its side',
  'live-lost': '(d) live subscriber at the lost node',
} as const;
export type Class = keyof typeof CLASSES;

/** Classes whose publishes need not wait for the end of the fault. */
export function isServed(of: Class): boolean {
  return of !== 'minority';
}

/** A fault as it bears on sessions and on live subscribers. */
export interface Concern {
  /** Nodes that serve clients while it lasts: where publishers are. */
  readonly publishing: readonly string[];
  /** Nodes with live subscribers. */
  readonly listening: readonly string[];
  session(publisher: string, seat: Seat): Class;
  /** undefined: not of interest. */
  live(publisher: string, subscriber: string): Class | undefined;
}

export function concernOfCut(names: readonly string[], cut: readonly Way[]): Concern {
  const reach = new Reach(names, cut);
  return {
    publishing: names,
    listening: names,
    session: (publisher, { voters }) => {
      const here = voters.filter((voter) => reach.side(publisher).has(voter));
      if (here.length * 2 <= voters.length) return 'minority';
      const touched = [publisher, ...voters];
      const whole = touched.every((a) => touched.every((b) => reach.direct(a, b)));
      return whole ? 'apart' : 'touched';
    },
    live: (publisher, subscriber) => {
      if (reach.direct(publisher, subscriber)) return 'live-apart';
      return reach.side(publisher).has(subscriber) ? 'live-across' : 'live-beyond';
    },
  };
}

export function concernOfLoss(names: readonly string[], lost: string): Concern {
  return {
    publishing: names.filter((name) => name !== lost),
    listening: [lost],
    session: (_publisher, { leader, voters }) => {
      if (leader === lost) return 'leader-lost';
      return voters.includes(lost) ? 'copy-lost' : 'apart';
    },
    live: (_publisher, subscriber) => (subscriber === lost ? 'live-lost' : undefined),
  };
}

/** One publisher, one subscriber, and a topic that nobody else uses. */
export interface Channel {
  readonly of: Class;
  readonly topic: string;
  readonly qos: 1 | 2;
  readonly publisher: { readonly clientId: string; readonly node: string };
  /** Without a seat it is live: its session ends with its connection, as that of its publisher does. */
  readonly subscriber: { readonly clientId: string; readonly node: string };
  readonly persistent: boolean;
}

/**
 * A channel from each node for each class that can be had there, QoS 1 and 2 in turn.
 *
 * The sessions of publisher and subscriber are of the same class: that of the publisher holds the state of
 * its QoS 2 messages.
 *
 * @param seats of Client Identifiers that nobody uses yet
 * @param qos2 every other channel has QoS 2
 */
export function planChannels(plan: {
  readonly concern: Concern;
  readonly seats: readonly Seat[];
  readonly label: string;
  readonly random: Prng;
  readonly qos2: boolean;
}): Channel[] {
  const { concern, label, random } = plan;
  const free = [...plan.seats];
  const channels: Channel[] = [];
  const add = (channel: Omit<Channel, 'topic' | 'qos'>): void => {
    const n = channels.length;
    const qos = plan.qos2 && n % 2 === 1 ? 2 : 1;
    channels.push({ ...channel, topic: `waits/${label}/${n}`, qos });
  };
  for (const node of concern.publishing) {
    const classes = new Set(free.map((seat) => concern.session(node, seat)));
    for (const of of classes) {
      const [one, two] = free.filter((seat) => concern.session(node, seat) === of);
      if (!one || !two) continue;
      for (const seat of [one, two]) free.splice(free.indexOf(seat), 1);
      const subscriber = { clientId: one.clientId, node: random.pick(concern.publishing) };
      add({ of, publisher: { clientId: two.clientId, node }, subscriber, persistent: true });
    }
    const lives = new Map<Class, string[]>();
    for (const at of concern.listening) {
      const of = concern.live(node, at);
      if (of !== undefined) lives.set(of, [...(lives.get(of) ?? []), at]);
    }
    for (const [of, nodes] of lives) {
      const clientId = `${label}-live-${channels.length}`;
      const subscriber = { clientId: `${clientId}-sub`, node: random.pick(nodes) };
      add({ of, publisher: { clientId: `${clientId}-pub`, node }, subscriber, persistent: false });
    }
  }
  return channels;
}
