import mqttPacket from 'mqtt-packet';
import type { ClientHandler, ClientSocket } from '../../src/ports.ts';
import type {
  CoreFactory,
  CoreInspection,
  CoreOptions,
  CoreUnderTest,
  SimNodeEnv,
} from '../../src/sim/core-port.ts';
import { filterMatches } from '../../src/sim/topics.ts';
import type { ReferenceCluster, RefPeer, RefSession, StoredMessage } from './reference-cluster.ts';

/** Makes the nodes of a reference cluster. */
export function referenceFactory(cluster: ReferenceCluster): CoreFactory {
  const bootEpochs = new Map<string, number>();
  const cores = new Map<string, ReferenceCore>();
  return {
    loadIdentity: (_store, want, done) => {
      const { name } = want;
      const bootEpoch = (bootEpochs.get(name) ?? 0) + 1;
      bootEpochs.set(name, bootEpoch);
      const fresh = bootEpoch === 1;
      const clusterId = name === 'n1' || !fresh ? 'reference' : '';
      const unused = { shardCount: 1, settings: null, clockAheadMs: 0 };
      done({ name, storeId: name, bootEpoch, clusterId, ...unused, fresh });
    },
    create: (env, options) => {
      const { name } = options.identity;
      cores.get(name)?.died();
      const core = new ReferenceCore(cluster, env, options);
      cores.set(name, core);
      return core;
    },
  };
}

class ReferenceCore implements CoreUnderTest {
  ready = false;
  readonly cluster: ReferenceCluster;
  readonly env: SimNodeEnv;
  readonly options: CoreOptions;
  readonly #connections = new Set<RefConnection>();
  #commitIndex = 0;

  constructor(cluster: ReferenceCluster, env: SimNodeEnv, options: CoreOptions) {
    this.cluster = cluster;
    this.env = env;
    this.options = options;
  }

  boot(done: () => void): void {
    // A new process begins with nothing committed, which no real one may show.
    this.#commitIndex = this.options.identity.bootEpoch === 1 ? 1000 : 0;
    this.ready = true;
    this.env.store.write([], true, done);
  }

  readonly joining = { onClusterId: () => {} };
  // It ends in order at once: nothing here waits or is led.
  readonly unanswered = 0;
  readonly calm = { now: false };
  readonly canHandOver = false;
  readonly peers = { sayStopped: () => {} };
  disconnectAll(): void {}
  handOverAll(): void {}
  hasStopped(): boolean {
    return false;
  }
  readonly links = {
    onMembers: () => {},
    onLinkUp: () => {},
    onLinkDown: () => {},
    onNoListener: () => {},
    onFrame: () => {},
  };
  flush(): void {}

  tick(): void {
    this.cluster.fireWills();
    this.env.trace('tick');
    this.#reportView();
  }

  /** A view now and then where a bug asks for one. */
  #reportView(): void {
    const { bug } = this.cluster;
    if (bug !== 'copy dropped by a planned change' && bug !== 'views without end') return;
    if (this.options.identity.name !== 'n1' || !this.cluster.every(20)) return;
    const counter = ++this.cluster.views;
    const short = bug === 'copy dropped by a planned change' && counter % 3 === 0;
    const active = this.#active.slice(short ? 1 : 0);
    this.env.trace('established', { shard: 0, counter, active, planned: true, unheard: [] });
  }

  get #active(): string[] {
    const missing = this.cluster.bug === 'copy missing in the end' ? 1 : 0;
    return ['n1', 'n2', 'n3'].slice(0, this.options.replicas - missing);
  }

  accept(socket: ClientSocket): ClientHandler {
    const connection = new RefConnection(this, socket);
    this.#connections.add(connection);
    return connection;
  }

  forget(connection: RefConnection): void {
    this.#connections.delete(connection);
  }

  /** The process is gone; the next one of its name says so. */
  died(): void {
    for (const connection of [...this.#connections]) connection.onClosed();
  }

  inspect(): CoreInspection {
    const { name } = this.options.identity;
    const { bug } = this.cluster;
    return {
      elections: bug === 'election without a fault' ? this.cluster.sessions.size : 0,
      shards: [
        {
          shard: 0,
          view: 1,
          leader: 'n1',
          role: name === 'n1' ? 'leader' : 'follower',
          valid: true,
          active: this.#active,
          commitIndex: bug === 'commit taken back' ? this.#commitIndex : 1000,
          endIndex: bug === 'commit taken back' ? this.#commitIndex : 1000,
          stateHash: bug === 'state differs' ? name : 'same',
        },
      ],
    };
  }
}

/** One connection: decodes with mqtt-packet, answers at once. */
class RefConnection implements ClientHandler, RefPeer {
  readonly #core: ReferenceCore;
  readonly #cluster: ReferenceCluster;
  readonly #socket: ClientSocket;
  readonly #parser = mqttPacket.parser();
  #session: RefSession | undefined;
  #version = 4;
  #receiveMaximum = 20;
  #will: { message: StoredMessage; delayMs: number } | undefined;
  #closed = false;

  constructor(core: ReferenceCore, socket: ClientSocket) {
    this.#core = core;
    this.#cluster = core.cluster;
    this.#socket = socket;
    this.#parser.on('packet', (packet) => {
      if (this.#closed || this.#dropping) return;
      if (this.#yielding && packet.cmd !== 'disconnect') return;
      this.#onPacket(packet);
      this.#dropping = packet.cmd === 'connect' && this.#cluster.bug === 'early bytes dropped';
    });
    this.#parser.on('error', (error) => {
      throw error;
    });
  }

  onData(buffer: Uint8Array, start: number, end: number): void {
    this.#parser.parse(Buffer.from(buffer.slice(start, end)));
    this.#dropping = false;
  }

  /** A bug: what comes in one segment with CONNECT is not looked at. */
  #dropping = false;

  onClosed(): void {
    this.#core.forget(this);
    if (this.#closed) return;
    this.#closed = true;
    this.#detach();
    if (this.#will) {
      this.#cluster.addWill(this.#session?.clientId ?? '', this.#will.message, this.#will.delayMs);
    }
  }

  onSecond(): void {}
  onDrain(): void {}

  /** Another connection of this Client Identifier. */
  takenOver(): void {
    if (this.#cluster.bug === 'two connections') return;
    if (this.#cluster.bug === 'no fence') {
      this.#session = undefined;
      return;
    }
    if (!this.#will) return this.yielded();
    // Its DISCONNECT may still be on the way.
    this.#yielding = true;
    this.#cluster.yields(this);
  }

  #yielding = false;

  yielded(): void {
    if (this.#closed) return;
    if (this.#will) this.#cluster.addWill('', this.#will.message, 0);
    this.#will = undefined;
    this.#closed = true;
    this.#core.forget(this);
    this.#socket.close(true);
  }

  sendPublish(m: StoredMessage, qos: 0 | 1 | 2, o: Parameters<RefPeer['sendPublish']>[2]): void {
    const { id, dup, retain, identifiers } = o;
    const identified = this.#version === 5 && identifiers.length > 0;
    this.#write({
      cmd: 'publish',
      topic: m.topic,
      payload: Buffer.from(m.payload),
      qos,
      dup,
      retain,
      ...(qos > 0 ? { messageId: id } : {}),
      ...(identified ? { properties: { subscriptionIdentifier: [...identifiers] } } : {}),
    } as mqttPacket.Packet);
  }

  /** Sends what is queued, as far as Receive Maximum allows. */
  pump(): void {
    const session = this.#session;
    if (session === undefined) return;
    const nowMs = this.#cluster.clock();
    if (this.#cluster.bug !== 'expired is sent') {
      session.queue = session.queue.filter(
        ({ stage, message }) => stage !== 'queued' || (message.expiresAtMs ?? nowMs) >= nowMs,
      );
    }
    let inFlight = session.queue.filter((entry) => entry.stage !== 'queued').length;
    for (const entry of session.queue) {
      if (entry.stage !== 'queued') continue;
      if (inFlight >= this.#receiveMaximum) return;
      inFlight++;
      entry.packetId = this.#takeId(session);
      entry.stage = 'sent';
      const dup = this.#cluster.bug === 'DUP at first';
      const { packetId: id, identifiers } = entry;
      this.sendPublish(entry.message, entry.qos, { id, dup, retain: false, identifiers });
    }
  }

  #takeId(session: RefSession): number {
    if (this.#cluster.bug === 'reuse identifier' && this.#cluster.every(5)) {
      const open = session.queue.find((entry) => entry.stage !== 'queued' && entry.qos === 2);
      if (open !== undefined) return open.packetId;
    }
    do session.nextPacketId = (session.nextPacketId % 65_535) + 1;
    while (session.queue.some((entry) => entry.packetId === session.nextPacketId));
    return session.nextPacketId;
  }

  #write(packet: mqttPacket.Packet): void {
    this.#socket.write(mqttPacket.generate(packet, { protocolVersion: this.#version }));
  }

  #detach(): void {
    const session = this.#session;
    if (session === undefined) return;
    if (session.connection === this) {
      session.connection = undefined;
      if (!session.persistent) this.#cluster.sessions.delete(session.clientId);
    }
  }

  #onPacket(packet: mqttPacket.Packet): void {
    switch (packet.cmd) {
      case 'connect':
        this.#onConnect(packet);
        return;
      case 'publish':
        this.#onPublish(packet);
        return;
      case 'subscribe':
        this.#onSubscribe(packet);
        return;
      case 'unsubscribe':
        for (const filter of packet.unsubscriptions) {
          if (this.#cluster.bug !== 'unsubscribe ignored')
            this.#session?.subscriptions.delete(filter);
        }
        this.#write({
          cmd: 'unsuback',
          messageId: packet.messageId ?? 0,
          ...(this.#version === 5 ? { granted: packet.unsubscriptions.map(() => 0) } : {}),
        } as mqttPacket.Packet);
        return;
      case 'puback':
      case 'pubcomp':
        this.#finish(packet.messageId ?? 0);
        return;
      case 'pubrec':
        this.#onPubrec(packet.messageId ?? 0);
        return;
      case 'pubrel':
        this.#session?.receiving.delete(packet.messageId ?? 0);
        this.#write({ cmd: 'pubcomp', messageId: packet.messageId ?? 0 });
        return;
      case 'pingreq':
        this.#write({ cmd: 'pingresp' });
        return;
      case 'disconnect':
        if ((packet.reasonCode ?? 0) === 0 && this.#cluster.bug !== 'will after disconnect') {
          this.#will = undefined;
        }
        this.#socket.close(false);
        return;
      default:
    }
  }

  #onConnect(packet: mqttPacket.IConnectPacket): void {
    const cluster = this.#cluster;
    this.#version = packet.protocolVersion ?? 4;
    const expiry = packet.properties?.sessionExpiryInterval ?? 0;
    const persistent = this.#version === 5 ? expiry > 0 : packet.clean === false;
    this.#receiveMaximum = packet.properties?.receiveMaximum ?? 20;
    const { will } = packet;
    let session = cluster.sessions.get(packet.clientId);
    session?.connection?.takenOver();
    cluster.cancelWill(packet.clientId);
    const lost = cluster.bug === 'lose session' && cluster.every(7);
    const keep = session?.persistent === true && packet.clean === false && !lost;
    const kept = keep ? session : undefined;
    if (kept) kept.persistent = persistent;
    const queue = cluster.bug === 'clean start keeps queue' ? (session?.queue ?? []) : [];
    session = kept ?? {
      clientId: packet.clientId,
      persistent,
      subscriptions: new Map(),
      queue,
      receiving: new Set(),
      nextPacketId: 0,
      connection: undefined,
    };
    cluster.sessions.set(packet.clientId, session);
    this.#session = session;
    session.connection = this;
    if (will !== undefined) {
      const payload = new Uint8Array(will.payload as Buffer);
      const delayMs = (will.properties?.willDelayInterval ?? 0) * 1000;
      this.#will = { message: { topic: will.topic, payload, qos: will.qos ?? 0 }, delayMs };
    }
    this.#write({ cmd: 'connack', sessionPresent: keep, returnCode: 0, reasonCode: 0 });
    this.#resend(session);
    this.pump();
  }

  #resend(session: RefSession): void {
    for (const entry of session.queue) {
      if (entry.stage === 'queued') continue;
      if (this.#cluster.bug === 'new identifier on resend' && entry.qos === 1) {
        entry.packetId = this.#takeId(session);
      }
      if (entry.stage === 'pubrel' && this.#cluster.bug === 'duplicate QoS 2') {
        entry.packetId = this.#takeId(session);
        entry.stage = 'sent';
      }
      if (entry.stage === 'pubrel') this.#write({ cmd: 'pubrel', messageId: entry.packetId });
      else {
        const { packetId: id, identifiers } = entry;
        this.sendPublish(entry.message, entry.qos, { id, dup: true, retain: false, identifiers });
      }
    }
  }

  #onPublish(packet: mqttPacket.IPublishPacket): void {
    const cluster = this.#cluster;
    const session = this.#session;
    const messageId = packet.messageId ?? 0;
    const message: StoredMessage = {
      topic: packet.topic,
      payload: new Uint8Array(packet.payload as Buffer),
      qos: packet.qos,
      ...this.#expiry(packet.properties?.messageExpiryInterval),
    };
    const again = packet.qos === 2 && session?.receiving.has(messageId) === true;
    if (!again) {
      if (packet.qos === 2) session?.receiving.add(messageId);
      if (packet.retain) cluster.retain(message);
      cluster.publish(message);
      this.#core.env.trace('enq');
    }
    if (cluster.bug === 'puback missing' && packet.qos === 1 && cluster.every(20)) {
      this.#stuckIds.add(messageId);
    }
    if (this.#stuckIds.has(messageId) && cluster.bug === 'puback missing') return;
    if (cluster.bug === 'waits while split' && cluster.isSplit()) return;
    if (packet.qos === 1) this.#write({ cmd: 'puback', messageId, reasonCode: 0 });
    if (packet.qos === 2) this.#write({ cmd: 'pubrec', messageId, reasonCode: 0 });
  }

  #expiry(seconds: number | undefined): Pick<StoredMessage, 'expiresAtMs'> {
    return seconds === undefined ? {} : { expiresAtMs: this.#cluster.clock() + seconds * 1000 };
  }

  readonly #stuckIds = new Set<number>();

  #onSubscribe(packet: mqttPacket.ISubscribePacket): void {
    const cluster = this.#cluster;
    const session = this.#session;
    const messageId = packet.messageId ?? 0;
    const granted = packet.subscriptions.map((s) => s.qos);
    const identifier = Number(packet.properties?.subscriptionIdentifier ?? 0);
    this.#write({ cmd: 'suback', messageId, granted });
    const add = () => {
      for (const { topic, qos } of packet.subscriptions)
        session?.subscriptions.set(topic, { qos, identifier });
    };
    if (cluster.bug === 'suback before route') {
      this.#core.env.store.scan(new Uint8Array(), new Uint8Array(), 1, 1, () => {
        this.#core.env.store.write([], true, () => this.#core.env.store.write([], true, add));
      });
    } else add();
    for (const [topic, message] of cluster.retained) {
      if (!packet.subscriptions.some((s) => filterMatches(s.topic, topic))) continue;
      if (cluster.bug === 'retained differs' && this.#core.options.identity.name === 'n2') continue;
      this.sendPublish(message, 0, { id: 0, dup: false, retain: true, identifiers: [] });
    }
  }

  #finish(packetId: number): void {
    const session = this.#session;
    if (session === undefined) return;
    session.queue = session.queue.filter((entry) => entry.packetId !== packetId || packetId === 0);
    this.pump();
  }

  #onPubrec(packetId: number): void {
    const entry = this.#session?.queue.find((e) => e.packetId === packetId);
    if (entry !== undefined) entry.stage = 'pubrel';
    this.#write({ cmd: 'pubrel', messageId: packetId });
  }
}
