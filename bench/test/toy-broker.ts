import net from 'node:net';
import mqttPacket, { type Packet } from 'mqtt-packet';
import type { BrokerUnderTest } from '../src/chaos/broker-under-test.ts';
import { filterMatches } from '../src/chaos/history.ts';
import { freePort } from '../src/chaos/ports.ts';
import type { Endpoint } from '../src/chaos/wire.ts';

/** What the toy does wrong, now and then. */
export type Bug =
  | 'none'
  | 'lose'
  | 'duplicate'
  | 'reorder'
  | 'forget-session'
  | 'redeliver-released';

interface Delivery {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  released: boolean;
}

interface Session {
  readonly clientId: string;
  version: number;
  readonly filters: Map<string, 0 | 1 | 2>;
  readonly queue: Delivery[];
  readonly inFlight: Map<number, Delivery>;
  readonly incoming: Set<number>;
  held: Delivery | undefined;
  lastId: number;
  socket: net.Socket | undefined;
}

const IN_FLIGHT_MAX = 16;

/**
 * An MQTT broker in memory for the harness's own tests: sessions that survive a "kill", QoS 1 and 2
 * both ways, and at most one planted bug that strikes every so often.
 */
export class ToyBroker implements BrokerUnderTest {
  readonly names = ['toy'];
  readonly folder = '';
  readonly #bug: Bug;
  readonly #port: number;
  readonly #sessions = new Map<string, Session>();
  readonly #sockets = new Set<net.Socket>();
  #server: net.Server | undefined;
  #strikes = 0;

  private constructor(bug: Bug, port: number) {
    this.#bug = bug;
    this.#port = port;
  }

  static async create(bug: Bug): Promise<ToyBroker> {
    const broker = new ToyBroker(bug, await freePort(new Set()));
    await broker.start();
    return broker;
  }

  endpoint(): Endpoint {
    return { node: 'toy', host: '127.0.0.1', port: this.#port };
  }

  isUp(): boolean {
    return this.#server !== undefined;
  }

  start(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server = net.createServer((socket) => this.#accept(socket));
    this.#server.once('error', reject);
    this.#server.listen(this.#port, '127.0.0.1', () => resolve());
    return promise;
  }

  kill(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#server) this.#server.close(() => resolve());
    else resolve();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    this.#server = undefined;
    return promise;
  }

  /** It runs in this very process: there is nothing to signal. */
  signal(): void {}

  whole(): Promise<boolean> {
    return Promise.resolve(this.isUp());
  }

  describe(): Promise<string> {
    return Promise.resolve(this.isUp() ? 'runs' : 'does not run');
  }

  stop(): Promise<void> {
    return this.kill();
  }

  /** Whether the bug strikes: every `every`th time that it could. */
  #strike(bug: Bug, every: number): boolean {
    return this.#bug === bug && ++this.#strikes % every === 0;
  }

  #accept(socket: net.Socket): void {
    this.#sockets.add(socket.setNoDelay());
    const parser = mqttPacket.parser();
    let session: Session | undefined;
    socket.on('error', () => {});
    socket.on('data', (chunk) => parser.parse(chunk));
    parser.on('packet', (packet) => {
      if (packet.cmd === 'connect') session = this.#connect(socket, packet);
      else if (session?.socket === socket) this.#onPacket(session, packet);
    });
    socket.once('close', () => {
      this.#sockets.delete(socket);
      if (session?.socket === socket) session.socket = undefined;
    });
  }

  #connect(socket: net.Socket, packet: Packet & { cmd: 'connect' }): Session {
    const { clientId, clean, protocolVersion: version = 4 } = packet;
    let session = this.#sessions.get(clientId);
    session?.socket?.destroy();
    if (clean || (session && this.#strike('forget-session', 6))) session = undefined;
    const sessionPresent = session !== undefined;
    session ??= newSession(clientId);
    this.#sessions.set(clientId, session);
    session.version = version;
    session.socket = socket;
    const code = version === 5 ? { reasonCode: 0 } : { returnCode: 0 };
    send(session, { cmd: 'connack', sessionPresent, ...code });
    for (const [messageId, delivery] of session.inFlight) {
      const again = delivery.released && this.#bug !== 'redeliver-released';
      if (again) send(session, { cmd: 'pubrel', messageId });
      else send(session, publishOf(delivery, messageId, true));
    }
    pump(session);
    return session;
  }

  #onPacket(session: Session, packet: Packet): void {
    const messageId = packet.messageId ?? 0;
    switch (packet.cmd) {
      case 'publish':
        if (packet.qos !== 2 || !session.incoming.has(messageId)) this.#route(packet);
        if (packet.qos === 2) session.incoming.add(messageId);
        send(session, { cmd: packet.qos === 1 ? 'puback' : 'pubrec', messageId });
        break;
      case 'pubrel':
        session.incoming.delete(messageId);
        send(session, { cmd: 'pubcomp', messageId });
        break;
      case 'pubrec': {
        const delivery = session.inFlight.get(messageId);
        if (delivery) delivery.released = true;
        send(session, { cmd: 'pubrel', messageId });
        break;
      }
      case 'puback':
      case 'pubcomp':
        // Lost, as with a node that dies: without it the bug would show by chance only.
        if (packet.cmd === 'pubcomp' && this.#strike('redeliver-released', 20)) break;
        session.inFlight.delete(messageId);
        pump(session);
        break;
      case 'subscribe':
        for (const { topic, qos } of packet.subscriptions) session.filters.set(topic, qos);
        send(session, {
          cmd: 'suback',
          messageId,
          granted: packet.subscriptions.map((s) => s.qos),
        });
        break;
      case 'unsubscribe':
        for (const filter of packet.unsubscriptions) session.filters.delete(filter);
        send(session, { cmd: 'unsuback', messageId, granted: packet.unsubscriptions.map(() => 0) });
        break;
      case 'pingreq':
        send(session, { cmd: 'pingresp' });
        break;
      default:
        break;
    }
  }

  #route(packet: Packet & { cmd: 'publish' }): void {
    const { topic, qos } = packet;
    const payload = Buffer.from(packet.payload);
    for (const session of this.#sessions.values()) {
      const granted = [...session.filters].find(([filter]) => filterMatches(filter, topic))?.[1];
      if (granted === undefined) continue;
      const level = Math.min(granted, qos) as 0 | 1 | 2;
      this.#enqueue(session, { topic, payload, qos: level, released: false });
      pump(session);
    }
  }

  #enqueue(session: Session, delivery: Delivery): void {
    if (this.#strike('lose', 50)) return;
    if (!session.held && this.#strike('reorder', 20)) {
      session.held = delivery;
      return;
    }
    session.queue.push(delivery);
    if (delivery.qos === 2 && this.#strike('duplicate', 50)) session.queue.push({ ...delivery });
    if (session.held && laneOf(session.held) === laneOf(delivery)) {
      session.queue.push(session.held);
      session.held = undefined;
    }
  }
}

function newSession(clientId: string): Session {
  return {
    clientId,
    version: 4,
    filters: new Map(),
    queue: [],
    inFlight: new Map(),
    incoming: new Set(),
    held: undefined,
    lastId: 0,
    socket: undefined,
  };
}

function pump(session: Session): void {
  while (session.socket && session.queue.length > 0 && session.inFlight.size < IN_FLIGHT_MAX) {
    const delivery = session.queue.shift() as Delivery;
    do session.lastId = (session.lastId % 65_535) + 1;
    while (session.inFlight.has(session.lastId));
    if (delivery.qos > 0) session.inFlight.set(session.lastId, delivery);
    send(session, publishOf(delivery, session.lastId, false));
  }
}

function publishOf({ topic, payload, qos }: Delivery, messageId: number, dup: boolean): Packet {
  return { cmd: 'publish', topic, payload, qos, messageId, dup, retain: false };
}

/** Publisher, topic and published QoS, from the payload of the harness's messages. */
function laneOf({ payload }: Delivery): string {
  return payload.toString().split('|').slice(1, 4).join('|');
}

function send(session: Session, packet: Packet): void {
  if (!session.socket?.writable) return;
  session.socket.write(mqttPacket.generate(packet, { protocolVersion: session.version }));
}
