/** Nodes on loopback in this process, asked by their admin API; and an MQTT client of few words. */

import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import mqttPacket, { type IConnackPacket, type IDisconnectPacket, type Packet } from 'mqtt-packet';
import type { ConfigInput, ErrorBody } from '../../src/index.ts';
import { type ReadyReport, type RunningNode, resolveConfig, startNode } from '../../src/index.ts';

export interface TestNode extends ReadyReport {
  readonly running: RunningNode;
  /** Resolves once the node was removed from its cluster. */
  readonly left: Promise<void>;
}

export interface Answer<Body> {
  readonly status: number;
  readonly body: Body & ErrorBody;
}

export class TestCluster {
  readonly nodes = new Map<string, TestNode>();
  #folder = '';
  readonly #replicas: number;

  constructor(replicas: number) {
    this.#replicas = replicas;
  }

  /** What a node of this cluster is configured with, joining through those that run. */
  async flags(name: string): Promise<Record<string, string | string[]>> {
    this.#folder ||= await mkdtemp(join(tmpdir(), 'shoal-test-'));
    return {
      'node.name': name,
      'data.dir': join(this.#folder, name),
      'mqtt.listen': '127.0.0.1:0',
      'cluster.listen': '127.0.0.1:0',
      'cluster.join': [...this.nodes.values()].map(({ cluster }) => cluster),
      'cluster.shards': '16',
      'cluster.replicas': String(this.#replicas),
      'admin.listen': '127.0.0.1:0',
      'log.level': 'error',
      'swim.preset': 'test',
    };
  }

  /** @param flags beside, or instead of, those of {@link flags} */
  async start(name: string, flags: ConfigInput['flags'] = {}): Promise<TestNode> {
    const left = Promise.withResolvers<void>();
    const config = resolveConfig({ env: {}, flags: { ...(await this.flags(name)), ...flags } });
    const running = await startNode(config, {
      onFatal: (error) => left.reject(error),
      onLeft: () => left.resolve(),
    });
    const node = { ...(await running.ready), running, left: left.promise };
    left.promise.catch(() => {});
    this.nodes.set(name, node);
    return node;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.nodes.values()].map(({ running }) => running.stop()));
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** One request to the admin API of a node. */
  async ask<Body>(name: string, path: string, method = 'GET'): Promise<Answer<Body>> {
    const response = await fetch(`http://${this.nodes.get(name)!.admin}${path}`, { method });
    const text = await response.text();
    return { status: response.status, body: text === '' ? {} : JSON.parse(text) };
  }

  /** Asks until the answer is as wanted; mocha's timeout bounds it. */
  async until<Body>(name: string, path: string, wanted: (body: Body) => boolean): Promise<Body> {
    for (;;) {
      const { body } = await this.ask<Body>(name, path);
      if (wanted(body)) return body;
      await delay(50);
    }
  }
}

/** A client that connects, subscribes and hears what the server says. */
export class TestClient extends EventEmitter<{ packet: [Packet]; closed: [] }> {
  readonly #socket: Socket;
  readonly #protocolVersion: 4 | 5;

  private constructor(socket: Socket, protocolVersion: 4 | 5) {
    super();
    this.#socket = socket;
    this.#protocolVersion = protocolVersion;
    const parser = mqttPacket.parser({ protocolVersion });
    parser.on('packet', (packet) => this.emit('packet', packet));
    socket.on('data', (chunk) => parser.parse(chunk));
    socket.on('close', () => this.emit('closed'));
    socket.on('error', () => {});
  }

  /** MQTT 5, with a session that outlives the connection. */
  static async connect(node: ReadyReport, clientId: string): Promise<TestClient> {
    const { client, connack } = await TestClient.dial(node, clientId, 5);
    assert.equal(connack.reasonCode, 0);
    return client;
  }

  /** A CONNECT, and whatever is answered. */
  static async dial(
    node: ReadyReport,
    clientId: string,
    protocolVersion: 4 | 5,
  ): Promise<{ client: TestClient; connack: IConnackPacket }> {
    const [host, port] = node.mqtt.split(':');
    const socket = connect(Number(port), host);
    await once(socket, 'connect');
    const client = new TestClient(socket, protocolVersion);
    const connack = await client.#request({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion,
      clean: false,
      clientId,
      keepalive: 0,
      ...(protocolVersion === 5 ? { properties: { sessionExpiryInterval: 3600 } } : {}),
    });
    assert.equal(connack.cmd, 'connack');
    return { client, connack: connack as IConnackPacket };
  }

  async subscribe(topic: string): Promise<void> {
    const suback = await this.#request({
      cmd: 'subscribe',
      messageId: 1,
      subscriptions: [{ topic, qos: 1 }],
    } as Packet);
    assert.equal(suback.cmd, 'suback');
  }

  /** With QoS 1, until it is acknowledged. */
  async publish(topic: string): Promise<void> {
    const puback = await this.#request({
      cmd: 'publish',
      messageId: 2,
      topic,
      payload: '',
      qos: 1,
      dup: false,
      retain: false,
    });
    assert.equal(puback.cmd, 'puback');
  }

  async #request(packet: Packet): Promise<Packet> {
    const answered = once(this, 'packet');
    const protocolVersion = this.#protocolVersion;
    this.#socket.write(mqttPacket.generate(packet, { protocolVersion }));
    return (await answered)[0];
  }

  /** The DISCONNECT with which the server ends the connection. */
  async farewell(): Promise<IDisconnectPacket> {
    const [packet] = (await once(this, 'packet')) as [Packet];
    assert.equal(packet.cmd, 'disconnect');
    return packet as IDisconnectPacket;
  }

  /** Its Reason Code. */
  async ended(): Promise<number> {
    return (await this.farewell()).reasonCode ?? 0;
  }

  async close(): Promise<void> {
    const closed = once(this, 'closed');
    this.#socket.end(mqttPacket.generate({ cmd: 'disconnect' }, { protocolVersion: 5 }));
    await closed;
  }
}
