/** One node or three, clients of one version of MQTT, and packets byte by byte where they are to break a rule. */
import assert from 'node:assert/strict';
import type { IConnectPacket, IPublishPacket, ISubscribePacket, Packet } from 'mqtt-packet';
import type { NodeCore } from '../../src/node/node.ts';
import { type Settings, TestNodes, type TestSocket } from '../node/nodes.ts';

export type Bytes = readonly number[];

/** A string or binary data as MQTT has it: its length, and the bytes. */
export function field(data: string | Uint8Array): Bytes {
  const bytes = Buffer.from(data as string);
  return [bytes.length >> 8, bytes.length & 255, ...bytes];
}

/** A packet with these parts behind its fixed header. */
export function packet(first: number, ...parts: Bytes[]): Buffer {
  const body = parts.flat();
  const length: number[] = [];
  for (let rest = body.length; length.length === 0 || rest > 0; rest >>= 7)
    length.push((rest & 127) | (rest > 127 ? 128 : 0));
  return Buffer.from([first, ...length, ...body]);
}

export class World {
  readonly version: 4 | 5;
  readonly nodes = new TestNodes();
  readonly node;
  readonly #cores: readonly NodeCore[];
  #connections = 0;

  constructor(version: 4 | 5, { splitReads, nodes }: Way, settings: Settings = {}) {
    this.version = version;
    this.nodes.splitReads = splitReads;
    const replicas = Math.min(3, nodes);
    this.#cores = Array.from({ length: nodes }, (_, i) =>
      this.nodes.add(`n${i + 1}`, { replicas, ...settings }),
    );
    this.node = this.#cores[0]!;
    if (nodes > 1) this.nodes.advance(3000);
  }

  /** A connection whose client has sent nothing yet: each at the next node. */
  #accept(): TestSocket {
    const core = this.#cores[this.#connections++ % this.#cores.length]!;
    return this.nodes.accept(core, this.version);
  }

  /** No properties, where the version has a place for them. */
  get none(): Bytes {
    return this.version === 5 ? [0] : [];
  }

  /** A session that outlives its connection. */
  get stored(): Partial<IConnectPacket> {
    return this.version === 5
      ? { clean: false, properties: { sessionExpiryInterval: 1000 } }
      : { clean: false };
  }

  /** The beginning of a CONNECT: protocol, flags, Keep Alive and properties. */
  head(flags: number, keepAlive = 0): Bytes {
    return [...field('MQTT'), this.version, flags, keepAlive >> 8, keepAlive & 255, ...this.none];
  }

  /** A connection whose client has sent these bytes. */
  raw(...packets: Uint8Array[]): TestSocket {
    return this.#settle(this.#accept().arrive(Buffer.concat(packets)));
  }

  /** Until the client is answered, or a while without: a takeover between nodes takes a moment. */
  #settle(socket: TestSocket): TestSocket {
    this.nodes.settle();
    if (this.#cores.length > 1)
      for (let turns = 0; turns < 10 && socket.packets.length === 0 && !socket.closed; turns++)
        this.nodes.advance(20);
    return socket;
  }

  /** Connections of all nodes. */
  get connections(): number {
    return this.#cores.reduce((sum, core) => sum + core.inspect().connections, 0);
  }

  /** A connection with its CONNACK still to be taken. */
  begin(clientId = 'c', o: Partial<IConnectPacket> = {}): TestSocket {
    const socket = this.#accept();
    socket.send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: this.version,
      clean: true,
      keepalive: 0,
      clientId,
      ...o,
    });
    return this.#settle(socket);
  }

  /** An accepted connection. */
  connect(clientId = 'c', o: Partial<IConnectPacket> = {}): TestSocket {
    const socket = this.begin(clientId, o);
    assert.deepEqual(codes(socket), [['connack', 0]]);
    return socket;
  }

  /** Sends bytes on an accepted connection. */
  send(socket: TestSocket, ...packets: Uint8Array[]): TestSocket {
    socket.arrive(Buffer.concat(packets));
    this.nodes.settle();
    return socket;
  }

  /** An accepted connection ends because of these bytes; an MQTT 5 client is told the code. */
  ends(bytes: Uint8Array, code: number, what: string): void {
    const socket = this.send(this.connect(), bytes);
    assert.deepEqual(codes(socket), this.version === 5 ? [['disconnect', code]] : [], what);
    assert.ok(socket.closed, what);
  }

  /** A CONNECT is refused; what each version is told, undefined for nothing. */
  refused(bytes: Uint8Array, code5: number, code4: number | undefined, what: string): void {
    const socket = this.raw(bytes);
    const code = this.version === 5 ? code5 : code4;
    assert.deepEqual(codes(socket), code === undefined ? [] : [['connack', code]], what);
    assert.ok(socket.closed, what);
  }

  subscribe(
    socket: TestSocket,
    filters: Readonly<Record<string, Partial<ISubscribePacket['subscriptions'][0]>>>,
    properties: ISubscribePacket['properties'] = {},
  ): (number | undefined)[] {
    const subscriptions = Object.entries(filters).map(([topic, o]) => ({ topic, qos: 0, ...o }));
    socket.send({ cmd: 'subscribe', messageId: 7, subscriptions, properties } as Packet);
    const suback = socket.packets.find((p) => p.cmd === 'suback');
    assert.ok(suback?.cmd === 'suback' && suback.messageId === 7);
    socket.packets.splice(socket.packets.indexOf(suback), 1);
    return suback.granted as number[];
  }
}

/** A PUBLISH of `x` to `t` at QoS 0, but for what is given. */
export function publishOf(o: Partial<IPublishPacket> = {}): IPublishPacket {
  const plain = { topic: 't', payload: 'x', qos: 0, retain: false, dup: false } as const;
  return { cmd: 'publish', ...plain, ...o };
}

export function ack(
  cmd: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp',
  messageId = 1,
  reasonCode = 0,
): Packet {
  return { cmd, messageId, reasonCode } as Packet;
}

/** Names of packets and their Packet Identifiers. */
export function ids(packets: readonly Packet[]): (readonly [string, number | undefined])[] {
  return packets.map((p) => [p.cmd, p.messageId]);
}

/** Names of packets and their Reason Codes or return codes. */
export function codes(socket: TestSocket): (readonly [string, number | undefined])[] {
  return socket.take().map((p) => {
    if (p.cmd === 'connack') return [p.cmd, p.reasonCode ?? p.returnCode];
    return [p.cmd, 'reasonCode' in p ? p.reasonCode : undefined];
  });
}

export function publishes(socket: TestSocket): IPublishPacket[] {
  return socket.take().filter((p): p is IPublishPacket => p.cmd === 'publish');
}

/** What was published, in short: topic, payload, QoS, RETAIN. */
export function seen(socket: TestSocket): string[] {
  return publishes(socket).map(
    ({ topic, payload, qos, retain }) => `${topic} ${payload} ${qos}${retain ? ' retained' : ''}`,
  );
}

/** How the packets of a suite come to the broker. */
interface Way {
  /** Bytes come one by one. */
  readonly splitReads: boolean;
  /** Nodes of the cluster; each connection is made to the next one. */
  readonly nodes: 1 | 3;
}

export const WAYS: readonly Way[] = [
  { splitReads: false, nodes: 1 },
  { splitReads: true, nodes: 1 },
  { splitReads: false, nodes: 3 },
  // Seldom more than the two tell by themselves: `npm run conformance:whole` has them together.
  ...(process.env['SHOAL_CONFORMANCE'] === 'whole'
    ? [{ splitReads: true, nodes: 3 } as const]
    : []),
];

/** For a title. */
export function wordsFor({ splitReads, nodes }: Way): string {
  return `${splitReads ? ', byte by byte' : ''}${nodes > 1 ? ', hopping' : ''}`;
}

/** A suite for each version: whole packets in a read and single bytes, on one node and hopping over three. */
export function everyWay(
  title: string,
  suite: (make: (settings?: Settings) => World, version: 4 | 5) => void,
): void {
  for (const version of [4, 5] as const)
    for (const way of WAYS) {
      const name = version === 5 ? '5.0' : '3.1.1';
      describe(`${title}, MQTT ${name}${wordsFor(way)}`, () =>
        suite((settings) => new World(version, way, settings), version));
    }
}
