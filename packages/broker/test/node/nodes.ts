/** Nodes without I/O, linked by hand: time moves only in `advance`, clients are packets. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import mqttPacket, { type IConnectPacket, type IPublishPacket, type Packet } from 'mqtt-packet';
import type { GivenSettings } from '../../src/cluster-settings.ts';
import type { Config } from '../../src/config.ts';
import { loadIdentity } from '../../src/node/members/identity.ts';
import { NodeCore } from '../../src/node/node.ts';
import {
  type ClientHandler,
  type ClientSocket,
  type ListenerRules,
  type MemberInfo,
  type MemberMeta,
  type PasswordVerifier,
  PRINT_BYTES,
} from '../../src/ports.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';

const TICK_MS = 20;

export interface Settings {
  readonly replicas?: number;
  readonly limits?: Partial<Config['limits']>;
  readonly mqtt?: Partial<Config['mqtt']>;
  readonly timings?: Partial<Config['timings']>;
  readonly durability?: 'disk' | 'memory';
  readonly given?: GivenSettings;
  readonly shardCount?: number;
  /** Whether clients have to be users; absent, nobody asks who they are. */
  readonly authRequired?: boolean;
}

/** Sees what goes on between nodes, and between them and clients. */
export interface NodesWatcher {
  /** A frame arrives, or is lost with its link. */
  onFrame(from: string, to: string, frame: Uint8Array, lost: boolean): void;
  onLink(a: string, b: string, up: boolean): void;
  /** A client sends a packet, or gets one. */
  onPacket(client: TestSocket, packet: Packet, sent: boolean): void;
  /** Something happened at some node. */
  onStep(): void;
}

interface TestNode {
  readonly core: NodeCore;
  readonly info: MemberInfo;
}

/** In place of argon2: a password fits the hash that ends in it. */
export class FakePasswords implements PasswordVerifier {
  /** Passwords that had to be looked at. */
  looked = 0;
  key: Uint8Array;
  readonly #defer: (run: () => void) => void;
  readonly #known = new Set<string>();
  #news: Uint8Array[] = [];

  constructor(name: string, defer: (run: () => void) => void) {
    this.key = createHash('sha256').update(name).digest();
    this.#defer = defer;
  }

  useKey(key: Uint8Array): void {
    this.key = key;
    this.#known.clear();
  }

  learn(prints: Uint8Array): void {
    for (let at = 0; at < prints.length; at += PRINT_BYTES)
      this.#known.add(Buffer.from(prints.subarray(at, at + PRINT_BYTES)).toString('hex'));
  }

  takePrints(): Uint8Array {
    return Buffer.concat(this.#news.splice(0));
  }

  verify(hash: string, password: Uint8Array, done: (fits: boolean) => void): void {
    const print = createHash('sha256').update(this.key).update(hash).update(password).digest();
    if (this.#known.has(print.toString('hex'))) return this.#defer(() => done(true));
    this.looked++;
    const fits = hash === `$argon2id$${Buffer.from(password).toString()}`;
    if (fits) {
      this.learn(print);
      this.#news.push(print);
    }
    this.#defer(() => done(fits));
  }
}

/** A cluster whose first node founds it; every node is linked to every other one. */
export class TestNodes {
  nowMs = 1000;
  /** How long a frame is under way; with 0 it arrives within the turn. */
  latencyMs = 0;
  /** Fatal errors by node, where {@link mayEnd} expects them. */
  readonly ended = new Map<string, string>();
  mayEnd = false;
  /** Bytes of clients come one by one: every packet is put together from parts. */
  splitReads = false;
  /** Lines about clients. */
  readonly lines: string[] = [];
  /** What the nodes logged as warnings. */
  readonly warnings: string[] = [];
  readonly passwords = new Map<string, FakePasswords>();
  /** Data folders, which outlive processes. */
  readonly #stores = new Map<string, MemoryStore>();
  /** Called after every step of {@link advance}. */
  onAdvance: () => void = () => {};
  watcher: NodesWatcher | null = null;
  /** Bytes of the longest frame that any node sent. */
  longestFrame = 0;
  /** What the nodes logged as errors. */
  readonly errors: string[] = [];
  readonly #nodes = new Map<string, TestNode>();
  #mute = '';
  readonly #killed = new Map<string, MemberInfo>();
  readonly #work: (() => void)[] = [];
  #underWay: { readonly dueMs: number; readonly bytes: number; readonly arrive: () => void }[] = [];
  /** Nodes whose process hangs, with what their connections keep for them. */
  readonly #hung = new Map<string, (() => void)[]>();
  #random = 1;

  /** Adds a node and lets it join. */
  add(name: string, settings: Settings = {}): NodeCore {
    const store = this.#stores.get(name) ?? new MemoryStore({ defer: (fn) => this.#work.push(fn) });
    this.#stores.set(name, store);
    const meta: MemberMeta = {
      storeId: `store-${name}`,
      zone: 'default',
      host: name,
      weight: 1,
      mqtt: `${name}:1883`,
      admin: `${name}:7780`,
      leaving: false,
    };
    let core: NodeCore | undefined;
    const random = () => this.#next();
    loadIdentity(store, { name, wallMs: 1, random }, (identity) => {
      assert.ok(!('error' in identity));
      const found = this.#nodes.size === 0 && identity.clusterId === '';
      core = new NodeCore(
        {
          nowMs: () => this.nowMs,
          wallMs: () => this.nowMs,
          random,
          store,
          sendFrame: (peer, frame) => {
            if (this.#mute === `${name}>${peer}`) return;
            const bytes = Uint8Array.from(frame);
            this.longestFrame = Math.max(this.longestFrame, bytes.length);
            const arrive = () => {
              const held = this.#hung.get(peer);
              if (held) held.push(arrive);
              else this.#arrive(name, peer, bytes);
            };
            if (this.latencyMs === 0) this.#work.push(arrive);
            else
              this.#underWay.push({
                dueMs: this.nowMs + this.latencyMs,
                bytes: bytes.length,
                arrive,
              });
          },
          ...(settings.authRequired === undefined ? {} : { passwords: this.#passwordsOf(name) }),
          resetLink: (peer) => this.#work.push(() => this.cut(name, peer)),
          scheduleFlush: () => this.#work.push(() => core?.flush()),
          log: (level, message, fields) => {
            if (level === 'error') this.errors.push(`${message} ${JSON.stringify(fields)}`);
            if (message.startsWith('client '))
              this.lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
            if (level === 'warn') this.warnings.push(`${message} ${JSON.stringify(fields)}`);
          },
          fatal: (code, message) => this.#fatal(name, code, message),
        },
        {
          identity: { ...identity, storeId: meta.storeId },
          found,
          shardCount: 16,
          replicas: 1,
          durability: 'disk',
          meta,
          ...settings,
        },
      );
      const { bootEpoch } = identity;
      const info = {
        name,
        bootEpoch,
        state: 'alive',
        unwell: false,
        address: `${name}:7700`,
        meta,
      } as const;
      this.#nodes.set(name, { core, info });
      core.boot(() => {});
    });
    this.settle();
    assert.ok(core);
    this.membersAre({});
    for (const other of this.#nodes.keys()) if (other !== name) this.link(name, other);
    this.advance(2000);
    return core;
  }

  #arrive(from: string, to: string, bytes: Uint8Array): void {
    const core = this.#nodes.get(to)?.core;
    this.watcher?.onFrame(from, to, bytes, core?.peers.get(from)?.up !== true);
    core?.links.onFrame(from, bytes);
  }

  /** The nodes whose processes run. */
  get running(): NodeCore[] {
    return [...this.#nodes.values()].map(({ core }) => core);
  }

  #fatal(name: string, code: string, message: string): void {
    assert.ok(this.mayEnd, `${code} ${message}`);
    this.ended.set(name, `${code} ${message}`);
    this.#work.push(() => this.kill(name));
  }

  /**
   * Tells nodes of all members, `states` other than alive among them, which name killed ones too.
   *
   * @param told by default all
   */
  membersAre(
    states: Readonly<Record<string, MemberInfo['state']>>,
    told: readonly string[] = [...this.#nodes.keys()],
  ): void {
    const known = [...this.#nodes.values()].map(({ info }) => info);
    for (const info of this.#killed.values()) if (info.name in states) known.push(info);
    const members = known.map((info) => ({ ...info, state: states[info.name] ?? info.state }));
    for (const [name, { core }] of this.#nodes)
      if (told.includes(name) && !this.#hung.has(name)) core.links.onMembers(members);
    this.settle();
  }

  link(a: string, b: string): void {
    this.watcher?.onLink(a, b, true);
    this.#both(a, b, (core, peer) => core.links.onLinkUp(peer.name, peer.bootEpoch));
  }

  cut(a: string, b: string): void {
    this.watcher?.onLink(a, b, false);
    this.#both(a, b, (core, peer) => core.links.onLinkDown(peer.name));
  }

  /** What one sends to the other on their connection is lost from now on. */
  mute(from: string, to: string): void {
    this.#mute = `${from}>${to}`;
  }

  /** The process is stopped and keeps its connections. */
  hang(name: string): void {
    this.#hung.set(name, []);
  }

  /** It goes on, and reads what has come meanwhile. */
  wake(name: string): void {
    const held = this.#hung.get(name)!;
    this.#hung.delete(name);
    for (const arrive of held) arrive();
    this.settle();
  }

  /** The process ends, and membership is slow to say so. */
  kill(name: string): void {
    const node = this.#nodes.get(name);
    if (!node) return;
    for (const other of this.#nodes.keys()) if (other !== name) this.cut(name, other);
    this.#killed.set(name, node.info);
    this.#nodes.delete(name);
  }

  #both(a: string, b: string, tell: (core: NodeCore, peer: MemberInfo) => void): void {
    const [one, other] = [this.#nodes.get(a)!, this.#nodes.get(b)!];
    tell(one.core, other.info);
    tell(other.core, one.info);
    this.settle();
  }

  advance(ms: number): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) {
      this.nowMs += TICK_MS;
      const due = this.#underWay.filter(({ dueMs }) => dueMs <= this.nowMs);
      this.#underWay = this.#underWay.filter(({ dueMs }) => dueMs > this.nowMs);
      for (const { arrive } of due) arrive();
      for (const [name, { core }] of this.#nodes) if (!this.#hung.has(name)) core.tick();
      this.watcher?.onStep();
      this.settle();
      this.onAdvance();
    }
  }

  /** @param remote the address that it comes from */
  #passwordsOf(name: string): FakePasswords {
    const passwords = new FakePasswords(name, (run) => this.#work.push(run));
    this.passwords.set(name, passwords);
    return passwords;
  }

  connect(
    node: NodeCore,
    connect: Partial<IConnectPacket>,
    remote = 'test:1',
    rules: ListenerRules = {},
  ): TestSocket {
    return this.accept(node, 5, remote, rules).connect(connect);
  }

  /** A connection whose client has sent nothing yet. */
  accept(
    node: NodeCore,
    version: 4 | 5 = 5,
    remote = 'test:1',
    rules: ListenerRules = {},
  ): TestSocket {
    return new TestSocket(node, version, remote, {
      rules,
      splits: () => this.splitReads,
      settle: () => this.settle(),
      defer: (run) => this.#work.push(run),
      onPacket: (client, packet, sent) => this.watcher?.onPacket(client, packet, sent),
    });
  }

  /** Bytes of all frames that have been sent and have not arrived. */
  get underWayBytes(): number {
    return this.#underWay.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Elections so far, on all nodes. */
  get elections(): number {
    return [...this.#nodes.values()].reduce((sum, { core }) => sum + core.counters.elections, 0);
  }

  /** Lets everything happen that takes no time. */
  settle(): void {
    for (let work = this.#work.shift(); work; work = this.#work.shift()) {
      work();
      this.watcher?.onStep();
    }
  }

  /** Park and Miller's generator. */
  #next(): number {
    this.#random = (this.#random * 48_271) % 2_147_483_647;
    return this.#random / 2_147_483_647;
  }
}

interface SocketHost {
  readonly rules: ListenerRules;
  splits(): boolean;
  settle(): void;
  defer(run: () => void): void;
  onPacket: NodesWatcher['onPacket'];
}

/** A client's connection: what it was sent, and whether it is closed or not read. */
export class TestSocket implements ClientSocket {
  readonly node: NodeCore;
  readonly version: 4 | 5;
  /** As the CONNECT has it. */
  clientId = '';
  readonly remote: string;
  readonly handler: ClientHandler;
  readonly packets: Packet[] = [];
  pendingBytes = 0;
  closed = false;
  isExcess = false;
  paused = false;
  readonly #parser;
  readonly #host: SocketHost;
  readonly rules: ListenerRules;

  constructor(node: NodeCore, version: 4 | 5, remote: string, host: SocketHost) {
    this.node = node;
    this.version = version;
    this.remote = remote;
    this.#host = host;
    this.rules = host.rules;
    this.#parser = mqttPacket.parser({ protocolVersion: version });
    this.#parser.on('packet', (packet) => {
      host.onPacket(this, packet, false);
      this.packets.push(packet);
    });
    this.handler = node.accept(this);
  }

  write(bytes: Uint8Array): void {
    this.#parser.parse(Buffer.from(bytes));
  }

  close(): void {
    this.closed = true;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  awaitDrain(): void {
    this.#host.defer(() => {
      if (this.pendingBytes === 0) this.handler.onDrain();
    });
  }

  /** The kernel has taken everything that it had not. */
  drain(): void {
    this.pendingBytes = 0;
    this.handler.onDrain();
    this.#host.settle();
  }

  /** Sends a packet and lets everything happen that takes no time. */
  send(packet: Packet): this {
    this.arrivePacket(packet);
    this.#host.settle();
    return this;
  }

  /** A packet comes in a read of its own; nothing that it sets off happens yet. */
  arrivePacket(packet: Packet): this {
    if (packet.cmd === 'connect') this.clientId = packet.clientId;
    this.#host.onPacket(this, packet, true);
    return this.arrive(mqttPacket.generate(packet, { protocolVersion: this.version }));
  }

  /** Bytes come in one read; nothing that they set off happens yet. */
  arrive(bytes: Uint8Array): this {
    if (!this.#host.splits()) this.handler.onData(bytes, 0, bytes.length);
    else for (let at = 0; at < bytes.length; at++) this.handler.onData(bytes, at, at + 1);
    return this;
  }

  /** The client closes its side. */
  end(): this {
    this.closed = true;
    this.handler.onClosed();
    return this;
  }

  publish(
    topic: string,
    o: {
      qos?: 0 | 1 | 2;
      retain?: boolean;
      id?: number;
      payload?: string;
      properties?: NonNullable<IPublishPacket['properties']>;
    } = {},
  ): this {
    const { qos = 0, retain = false, id = 1, payload = 'x', properties } = o;
    return this.send({
      cmd: 'publish',
      topic,
      payload,
      qos,
      retain,
      dup: false,
      ...(qos > 0 ? { messageId: id } : {}),
      ...(properties === undefined ? {} : { properties }),
    });
  }

  connect(connect: Partial<IConnectPacket> = {}): this {
    return this.send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: this.version,
      clean: true,
      keepalive: 0,
      clientId: 'c',
      ...connect,
    });
  }

  subscribe(topics: readonly string[], qos: 0 | 1 | 2 = 1): this {
    const subscriptions = topics.map((topic) => ({ topic, qos }));
    return this.send({ cmd: 'subscribe', messageId: 9, subscriptions } as Packet);
  }

  /** What came since it was last taken. */
  take(): Packet[] {
    return this.packets.splice(0);
  }
}
