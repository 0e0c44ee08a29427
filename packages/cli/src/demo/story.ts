/**
 * The demo: a persistent session survives the kill of the node that leads it.
 *
 * Each act does what it says and counts what came of it; nothing printed is a constant.
 */
import type { DemoCluster } from './cluster.ts';
import { waitFor } from './cluster.ts';
import type { NodeProcess } from './node-process.ts';
import { Publisher } from './publisher.ts';
import { count, duration, type Reporter } from './reporter.ts';
import { assignRoles, type Roles } from './roles.ts';
import { Subscriber } from './subscriber.ts';
import { type Check, checksOf, type Figures, type Summary } from './summary.ts';

const NODES = ['node1', 'node2', 'node3'] as const;
const FOURTH = 'node4';
const TOPIC = 'demo/orders';
/** Client Identifiers tried until one belongs to the node that the story wants to kill. */
const CLIENT_IDS_MAX = 64;
const STORY_RATE = 1_000;
const LOAD_RATE = 200;
/** Messages of each QoS at which the load phase stops in any case. */
const LOAD_MESSAGES_MAX = 100_000;

const SETTLE_TIMEOUT_MS = 120_000;
const RETURN_TIMEOUT_MS = 30_000;
const STILL_MS = 20_000;
/** No copy has arrived for this long: the move is over. */
const UNCHANGED_MS = 1_000;
const EXIT_TIMEOUT_MS = 30_000;

export class Story {
  readonly figures: Figures = {
    startMs: 0,
    clientId: '',
    roles: null,
    acknowledgedBeforeKill: 0,
    inFlightAtKill: 0,
    sessionPresent: false,
    killToConnectedMs: 0,
    killToFirstMessageMs: null,
    restartMs: 0,
    joinMs: 0,
    removeMs: 0,
    removedExit: '',
  };
  readonly #cluster: DemoCluster;
  readonly #reporter: Reporter;
  readonly #messages: number;
  readonly #checks: Check[] = [];

  /** @param messages of each QoS in the main part, at least 10 */
  constructor(cluster: DemoCluster, reporter: Reporter, messages: number) {
    this.#cluster = cluster;
    this.#reporter = reporter;
    this.#messages = messages;
  }

  /** Plays all acts; an act that cannot go on ends the story as a failed check. */
  async play(): Promise<Summary> {
    try {
      await this.#acts();
    } catch (error) {
      this.#check('the story went to its end', false, (error as Error).message);
    }
    return { ok: this.#checks.every((c) => c.ok), checks: this.#checks, figures: this.figures };
  }

  async #acts(): Promise<void> {
    await this.#startNodes();
    const { subscriber, roles } = await this.#subscribeAndLeave();
    const publisher = await Publisher.connect(this.#mqtt(roles.publishVia), 'demo-shop', TOPIC);
    try {
      await this.#killAndReturn(roles, publisher, subscriber);
      publisher.start(publisher.sent(1) + LOAD_MESSAGES_MAX, LOAD_RATE);
      await this.#restart(roles);
      this.#reporter.act(`A fourth node joins, and ${roles.victim} leaves for good, under load`);
      await this.#join();
      await this.#remove(roles);
      await this.#countLoad(publisher, subscriber);
    } finally {
      await Promise.all([publisher.close(), subscriber.close()]);
    }
  }

  async #startNodes(): Promise<void> {
    this.#reporter.act('Three nodes start, each a process with a data folder of its own');
    const startMs = performance.now();
    for (const name of NODES) {
      const node = await this.#cluster.add(name);
      this.#reporter.say(`${name}  pid ${node.pid}  MQTT ${node.settings.mqtt}`);
    }
    await this.#settle();
    this.figures.startMs = performance.now() - startMs;
    const status = await this.#cluster.status(this.#cluster.node(NODES[0]));
    this.#reporter.say(
      `They know each other. Sessions are spread over ${count(status.shards)} slices ("shards"), and\n` +
        `each slice is on ${Math.min(status.replicas, NODES.length)} nodes. One of them leads it. ` +
        `Ready after ${duration(this.figures.startMs)}.`,
    );
  }

  async #subscribeAndLeave(): Promise<{ subscriber: Subscriber; roles: Roles }> {
    const { clientId, leader } = await this.#chooseClientId();
    const roles = assignRoles(NODES, leader);
    this.figures.clientId = clientId;
    this.figures.roles = roles;
    this.#reporter.act(`A client subscribes through ${roles.subscribeVia} and goes away`);
    const subscriber = new Subscriber(clientId, TOPIC);
    await subscriber.subscribeAndLeave(this.#mqtt(roles.subscribeVia));
    this.#reporter.say(
      `Client "${clientId}" connected with clean_session=false, subscribed to ${TOPIC}/# and\n` +
        `disconnected. The broker now keeps its subscription and whatever arrives for it.\n` +
        `The node that leads this session is ${leader}.`,
    );
    return { subscriber, roles };
  }

  /** Prefers an identifier that the first node leads; then no node changes its part. */
  async #chooseClientId(): Promise<{ clientId: string; leader: string }> {
    const via = this.#cluster.node(NODES[0]);
    let fallback: { clientId: string; leader: string } | null = null;
    for (let i = 1; i <= CLIENT_IDS_MAX; i++) {
      const clientId = `demo-kitchen-${i}`;
      const { leader, preferenceList } = await this.#cluster.explain(via, clientId);
      if (leader === null) continue;
      if (leader === NODES[0] && preferenceList[0] === leader) return { clientId, leader };
      fallback ??= { clientId, leader };
    }
    if (fallback === null) throw new Error('no shard has a leader');
    return fallback;
  }

  async #killAndReturn(roles: Roles, publisher: Publisher, subscriber: Subscriber): Promise<void> {
    const { figures } = this;
    const total = this.#messages * 2;
    this.#reporter.act(`Messages for it arrive, and the node that leads its session is killed`);
    this.#reporter.say(
      `${count(this.#messages)} messages of QoS 1 and ${count(this.#messages)} of QoS 2 are published ` +
        `through ${roles.publishVia}.`,
    );
    const acked = () => publisher.acked(1) + publisher.acked(2);
    const shown = (label: string, reached: () => boolean) => () => {
      this.#reporter.progress(label, acked(), total);
      return reached();
    };
    publisher.start(this.#messages, STORY_RATE);
    // Half of them answered, and more under way: the kill must hit writes in flight.
    const half = () => acked() >= this.#messages && publisher.inFlight > 0;
    if (!(await publisher.until(shown('acknowledged', half), STILL_MS))) {
      throw new Error(`only ${acked()} of ${total} messages were acknowledged`);
    }
    figures.acknowledgedBeforeKill = acked();
    figures.inFlightAtKill = publisher.inFlight;
    const victim = this.#cluster.node(roles.victim);
    const pid = victim.pid;
    const killedMs = performance.now();
    victim.signal('SIGKILL');
    const returning = subscriber.comeBack(this.#mqtt(roles.returnVia), RETURN_TIMEOUT_MS);
    this.#reporter.say(
      `kill -9 ${pid} (${roles.victim}): ${count(figures.acknowledgedBeforeKill)} messages were ` +
        `acknowledged, ${count(figures.inFlightAtKill)} were on their way.\n` +
        `Publishing through ${roles.publishVia} goes on, and the client returns through ${roles.returnVia}.`,
    );
    figures.sessionPresent = await returning;
    figures.killToConnectedMs = performance.now() - killedMs;
    this.#check('session present', figures.sessionPresent, this.#sessionText(roles));
    const all = () => acked() + publisher.refused >= total;
    await publisher.until(shown('acknowledged', all), STILL_MS);
    await subscriber.until(() => this.#complete(publisher, subscriber), STILL_MS);
    const firstMs = subscriber.firstMessageMs;
    figures.killToFirstMessageMs = firstMs === null ? null : firstMs - killedMs;
    if (figures.killToFirstMessageMs !== null) {
      const text = `From the kill to the first message at ${roles.returnVia}: `;
      this.#reporter.say(text + duration(figures.killToFirstMessageMs));
    }
    this.#checkMessages('after the kill', publisher, subscriber);
  }

  #sessionText(roles: Roles): string {
    return this.figures.sessionPresent
      ? `${roles.returnVia} knew the session of the client (session_present=1)`
      : `${roles.returnVia} did not know the session of the client`;
  }

  async #restart(roles: Roles): Promise<void> {
    this.#reporter.act(`${roles.victim} starts again, while messages keep flowing`);
    const startMs = performance.now();
    const readyMs = await this.#cluster.node(roles.victim).start();
    this.#reporter.say(`It serves again after ${duration(readyMs)}; now it catches up.`);
    await this.#settle();
    this.figures.restartMs = performance.now() - startMs;
    const text = `${roles.victim} has every copy it should hold, ${duration(this.figures.restartMs)} after its start`;
    this.#check('dead node caught up', true, text);
  }

  async #join(): Promise<void> {
    const { figures } = this;
    const joinMs = performance.now();
    const fourth = await this.#cluster.add(FOURTH);
    this.#reporter.say(`${FOURTH}  pid ${fourth.pid}  MQTT ${fourth.settings.mqtt}`);
    const held = await this.#fairShare(fourth);
    figures.joinMs = performance.now() - joinMs;
    const took = `${FOURTH} took over ${count(held)} copies in ${duration(figures.joinMs)}`;
    this.#check('fourth node joined', held > 0, took);
  }

  async #remove(roles: Roles): Promise<void> {
    const { figures } = this;
    const removeMs = performance.now();
    const via = this.#cluster.node(roles.publishVia);
    const leaver = this.#cluster.node(roles.victim);
    // Refused while a copy is missing anywhere, which a slow machine may bring about at any moment.
    await waitFor(
      SETTLE_TIMEOUT_MS,
      () => `${roles.victim} was not allowed to leave`,
      async () => {
        await this.#cluster.remove(via, roles.victim);
        return true;
      },
    );
    await waitFor(
      SETTLE_TIMEOUT_MS,
      () => `${roles.victim} did not leave`,
      async () => {
        if (!leaver.running) return true;
        const progress = await this.#cluster.removal(via, roles.victim);
        this.#reporter.progress('shards moved', progress.shardsDone, progress.shardsTotal);
        return progress.state === 'gone';
      },
    );
    figures.removedExit = await within(EXIT_TIMEOUT_MS, leaver.ended(), 'still running');
    this.#cluster.forget(roles.victim);
    await this.#settle();
    figures.removeMs = performance.now() - removeMs;
    const left =
      `${roles.victim} handed over what it held and left, exit code ${figures.removedExit}, ` +
      `in ${duration(figures.removeMs)}`;
    this.#check('node left', figures.removedExit === 0, left);
  }

  /**
   * Waits until a new node has received what placement gives it: at least half of an even share,
   * and no more coming.
   *
   * @returns copies that it holds
   */
  async #fairShare(node: NodeProcess): Promise<number> {
    let held = 0;
    let unchangedSinceMs = performance.now();
    await waitFor(
      SETTLE_TIMEOUT_MS,
      () => `${node.name} received ${held} copies only`,
      async () => {
        const { members, shards, replicas } = await this.#cluster.status(node);
        const even = (shards * replicas) / members.filter((m) => m.state === 'alive').length;
        const now = members.find((member) => member.name === node.name)?.shardsHeld ?? 0;
        this.#reporter.progress(`copies at ${node.name}`, Math.min(now, even), even);
        if (now !== held) unchangedSinceMs = performance.now();
        held = now;
        return held >= even / 2 && performance.now() - unchangedSinceMs >= UNCHANGED_MS;
      },
    );
    await this.#settle();
    return held;
  }

  async #countLoad(publisher: Publisher, subscriber: Subscriber): Promise<void> {
    this.#reporter.act('The count');
    await publisher.finish(STILL_MS);
    await subscriber.until(() => this.#complete(publisher, subscriber), STILL_MS);
    this.#checkMessages('in the end', publisher, subscriber);
  }

  #complete(publisher: Publisher, subscriber: Subscriber): boolean {
    const received = ([1, 2] as const).map((qos) => {
      return subscriber.tallies[qos].distinct >= publisher.acked(qos);
    });
    return received.every(Boolean) && publisher.inFlight === 0;
  }

  #checkMessages(when: string, publisher: Publisher, subscriber: Subscriber): void {
    for (const check of checksOf(when, publisher, subscriber)) {
      this.#check(check.name, check.ok, check.text);
    }
  }

  #check(name: string, ok: boolean, text: string): void {
    this.#checks.push({ name, ok, text });
    this.#reporter.check(ok, text);
  }

  #settle(): Promise<number> {
    return this.#cluster.settled(SETTLE_TIMEOUT_MS, (copies, wanted) =>
      this.#reporter.progress('copies in place', copies, wanted),
    );
  }

  #mqtt(name: string): string {
    return this.#cluster.node(name).settings.mqtt;
  }
}

async function within<Value, Late>(ms: number, value: Promise<Value>, late: Late) {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<Late>((resolve) => {
    timer = setTimeout(() => resolve(late), ms);
  });
  try {
    return await Promise.race([value, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
