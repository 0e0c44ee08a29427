import type { Prng, Scheduler } from '@shoal/swim/sim';
import { Burster } from './actor-burst.ts';
import { Publisher } from './actor-publisher.ts';
import { Herald, Racer } from './actor-racer.ts';
import { Subscriber, Transient, type Wish } from './actor-subscriber.ts';
import { Twin, Willer } from './actor-willer.ts';
import type { Actor, ActorEnv, ActorPhase } from './actors.ts';
import type { BehaviourName } from './behaviours.ts';
import type { ClientEnv } from './client-port.ts';
import type { SimCluster } from './cluster.ts';
import type { History } from './history.ts';
import type { WorkloadOptions } from './options.ts';
import { ClientPipe, type PipeHost } from './pipe.ts';
import type { Transcript } from './transcript.ts';
import type { ProtocolVersion } from './wire.ts';

/** A host that is not there: connections to it are refused. */
const NO_PROCESS: PipeHost = {
  name: 'nobody',
  alive: false,
  listening: false,
  run: () => {},
  markDirty: () => {},
  accept: () => {
    throw new Error('no process accepts');
  },
};

/** All clients of a run. */
export class Workload {
  readonly actors: Actor[] = [];
  readonly bursters: Burster[] = [];
  readonly #subscribers: Subscriber[] = [];
  readonly #publishers: Publisher[] = [];
  readonly #scheduler: Scheduler;
  readonly #random: Prng;
  readonly #history: History;
  readonly #transcript: Transcript;
  readonly #options: WorkloadOptions;
  readonly #cluster: SimCluster;
  readonly #names: readonly string[];
  #connections = 0;

  constructor(o: {
    scheduler: Scheduler;
    random: Prng;
    history: History;
    transcript: Transcript;
    options: WorkloadOptions;
    /** Nodes that the cluster begins with. */
    names: readonly string[];
    cluster: SimCluster;
  }) {
    this.#scheduler = o.scheduler;
    this.#random = o.random;
    this.#history = o.history;
    this.#transcript = o.transcript;
    this.#options = o.options;
    this.#cluster = o.cluster;
    this.#names = o.names;
    const env: ActorEnv = {
      client: this.clientEnv('clients'),
      workload: o.options,
      nodes: () => this.#cluster.names(),
    };
    this.#populate(env);
  }

  clientEnv(label: string): ClientEnv {
    const random = this.#random.fork(label);
    return {
      scheduler: this.#scheduler,
      random,
      history: this.#history,
      transcript: this.#transcript,
      nextConnectionId: () => this.#connections++,
      dial: (node, remote, client) =>
        new ClientPipe({
          scheduler: this.#scheduler,
          random: random.fork(remote),
          transcript: this.#transcript,
          host: this.#cluster.process(node) ?? NO_PROCESS,
          client,
          remote,
        }),
    };
  }

  start(): void {
    for (const actor of this.actors) actor.start();
  }

  enter(phase: ActorPhase): void {
    for (const actor of [...this.actors, ...this.bursters]) actor.enter(phase);
  }

  /** Every publisher publishes this many more. */
  epilogue(count: number): void {
    for (const publisher of this.#publishers) publisher.epilogue(count);
  }

  get subscribed(): boolean {
    return this.#subscribers.every((s) => s.subscribed);
  }

  notSubscribed(): string {
    return this.#subscribers
      .filter((s) => !s.subscribed)
      .map((s) => s.name)
      .join(' ');
  }

  breakSome(how: 'break' | 'halfOpen' | 'stall', random: Prng): boolean {
    const connected = this.actors.filter((actor) => actor.client.connected);
    if (connected.length === 0) return false;
    const { client } = random.pick(connected);
    if (how === 'stall') client.stall(this.#scheduler.nowMs + random.next() * 3000);
    else client.breakConnection(how === 'halfOpen');
    return true;
  }

  #populate(env: ActorEnv): void {
    const o = this.#options;
    const random = this.#random;
    const topics = Array.from({ length: o.topics }, (_, i) => `m/${i}`);
    const retained = Array.from({ length: Math.ceil(o.topics / 2) }, (_, i) => `r/${i}`);
    const wish = (filters: readonly string[]): Wish => ({
      filter: random.pick(filters),
      qos: random.pick([1, 1, 2, 2, 0]),
    });
    const version = (): ProtocolVersion => random.pick([4, 5]);
    if (o.willers > 0 || o.behaviours.includes('pipeline')) {
      this.#addSubscriber(env, 'witness', version(), [{ filter: 'w/#', qos: 2 }], [], false);
    }
    for (let i = 0; i < o.subscribers; i++) {
      const exact = [...topics, ...retained];
      const constant = distinct([
        { filter: random.pick(topics), qos: random.pick([1, 2]) },
        wish([...exact, 'm/+', 'm/#', '+/0']),
      ]);
      const fickle = distinct([wish(exact), wish(exact)]).filter(
        (w) => !constant.some((c) => c.filter === w.filter),
      );
      this.#addSubscriber(env, `sub${i}`, version(), constant, fickle, random.chance(0.5));
    }
    for (let i = 0; i < o.publishers; i++) {
      const publisher = new Publisher(env, {
        clientId: `pub${i}`,
        version: version(),
        persistent: random.chance(0.8),
        qos: random.pick([[1], [2], [1, 2], [0, 1, 2]]),
        topics,
        retainedTopics: o.retainChance > 0 ? retained : [],
        reuseId: o.behaviours.includes('reuseId'),
        // One of them: bytes cost the simulator time.
        large: i === 0 && o.behaviours.includes('large'),
      });
      this.#publishers.push(publisher);
      this.actors.push(publisher);
    }
    this.#populateOthers(env, topics, version);
    this.#populateLater(env);
  }

  /** What came later draws from streams of its own, so that older seeds keep their clients. */
  #populateLater(env: ActorEnv): void {
    const random = this.#random.fork('later');
    const version = (): ProtocolVersion => random.pick([4, 5]);
    if (this.#options.behaviours.includes('race')) {
      const heralds = this.#names.map((node) => new Herald(env, { node, version: version() }));
      this.actors.push(...heralds);
      for (let i = random.int(1, 3); i > 0; i--) {
        const qos = random.pick([1, 2]);
        this.actors.push(new Racer(env, { name: `race${i}`, version: version(), qos, heralds }));
      }
    }
    const topics = Array.from({ length: this.#options.topics }, (_, i) => `m/${i}`);
    if (this.#options.behaviours.includes('pipeline')) {
      for (let i = random.int(1, 2); i > 0; i--)
        this.bursters.push(new Burster(env, { clientId: `burst${i}`, version: version(), topics }));
    }
    const later: [BehaviourName, Wish[], number, number | undefined][] = [
      ['overlap', overlapping(random, topics), 20, undefined],
      // A window of one and slow acknowledgements: what is published waits, and expires.
      ['expire', [{ filter: 'm/#', qos: random.pick([1, 2]) }], 1, 1500],
    ];
    for (const [behaviour, constant, receiveMaximum, ackDelayMs] of later) {
      if (!this.#options.behaviours.includes(behaviour)) continue;
      const subscriber = new Subscriber(env, {
        clientId: behaviour,
        version: 5,
        constant,
        fickle: [],
        mayStartClean: false,
        receiveMaximum,
        ...(ackDelayMs === undefined ? {} : { ackDelayMs }),
      });
      this.#subscribers.push(subscriber);
      this.actors.push(subscriber);
    }
    if (this.#options.behaviours.includes('share')) this.#populateGroup(env);
  }

  /** Members of one Shared Subscription. The first one's session never ends. */
  #populateGroup(env: ActorEnv): void {
    const random = this.#random.fork('share');
    const filter = random.pick(['$share/g/m/#', '$share/g/m/+', '$share/g/m/0']);
    // What ends takes messages of QoS 2 with it, which then are owed no more: not in every run.
    const qos = random.pick([1, 2]);
    const transients = random.int(0, 2);
    for (let i = random.int(1, 3); i > 0; i--) {
      const ends = i > 1 && random.chance(0.4);
      const subscriber = new Subscriber(env, {
        clientId: `work${i}`,
        version: random.pick([4, 5]),
        constant: [{ filter, qos: ends ? qos : 2 }],
        fickle: [],
        mayStartClean: ends,
        mayChangeExpiry: ends && random.chance(0.5),
        receiveMaximum: random.pick([0, 1, 3, 20]),
      });
      this.#subscribers.push(subscriber);
      this.actors.push(subscriber);
    }
    for (let i = 0; i < transients; i++) {
      const wishes = [{ filter, qos }];
      const version = random.pick([4, 5] as const);
      this.actors.push(new Transient(env, { clientId: `gig${i}`, version, wishes }));
    }
  }

  #populateOthers(env: ActorEnv, topics: readonly string[], version: () => ProtocolVersion): void {
    const o = this.#options;
    const random = this.#random;
    for (let i = 0; i < o.transients; i++) {
      const wishes = distinct([
        { filter: random.pick(topics), qos: random.pick([0, 1, 2]) },
        { filter: random.pick(['m/+', 'm/#', 'r/+']), qos: random.pick([0, 1]) },
      ]);
      this.actors.push(new Transient(env, { clientId: `live${i}`, version: version(), wishes }));
    }
    for (let i = 0; i < o.willers; i++) {
      this.actors.push(
        new Willer(env, {
          clientId: `will${i}`,
          version: version(),
          persistent: random.chance(0.5),
          delaySeconds: random.pick([0, 0, 1, 3]),
          ...expiry(random),
        }),
      );
    }
    for (let i = 0; i < o.twins; i++) {
      for (const device of ['a', 'b']) {
        this.actors.push(new Twin(env, { clientId: `twin${i}`, device, version: version() }));
      }
    }
  }

  #addSubscriber(
    env: ActorEnv,
    clientId: string,
    version: ProtocolVersion,
    constant: readonly Wish[],
    fickle: readonly Wish[],
    mayStartClean: boolean,
  ): void {
    const subscriber = new Subscriber(env, {
      clientId,
      version,
      constant,
      fickle,
      mayStartClean,
      mayChangeExpiry: clientId !== 'witness' && this.#options.behaviours.includes('changeExpiry'),
      receiveMaximum: version === 5 ? this.#random.pick([0, 1, 3, 20]) : 0,
      // What judges the others must not expire itself.
      ...(clientId === 'witness' ? {} : expiry(this.#random)),
    });
    this.#subscribers.push(subscriber);
    this.actors.push(subscriber);
  }
}

/** Some sessions expire within a run (MQTT 5 only; ignored in 3.1.1). */
function expiry(random: Prng): { sessionExpirySeconds?: number } {
  return random.chance(0.3) ? { sessionExpirySeconds: random.pick([1, 2, 5]) } : {};
}

/** One topic by filters of every QoS, each with an identifier of its own. */
function overlapping(random: Prng, topics: readonly string[]): Wish[] {
  const levels = random.shuffle([0, 1, 2]);
  const filters = [random.pick(topics), 'm/+', 'm/#'];
  return filters.map((filter, i) => ({ filter, qos: levels[i]!, identifier: 11 + i }));
}

function distinct(wishes: readonly Wish[]): Wish[] {
  return wishes.filter((wish, i) => wishes.findIndex((w) => w.filter === wish.filter) === i);
}
