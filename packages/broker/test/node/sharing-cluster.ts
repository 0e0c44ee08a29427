/** Three nodes with members of groups, for tests of Shared Subscriptions. */
import type { Packet } from 'mqtt-packet';
import type { NodeCore } from '../../src/node/node.ts';
import { type Settings, TestNodes, type TestSocket } from './nodes.ts';

export const STORED = { clean: false, properties: { sessionExpiryInterval: 100 } };

/** A client that acknowledges what it gets. */
export class Worker {
  readonly socket: TestSocket;
  readonly got: string[] = [];
  answers = true;

  constructor(socket: TestSocket) {
    this.socket = socket;
  }

  /** Takes what has come, and answers. */
  run(): this {
    for (let packets = this.socket.take(); packets.length > 0; packets = this.socket.take())
      for (const packet of packets) this.#take(packet);
    return this;
  }

  #take(packet: Packet): void {
    if (packet.cmd === 'pubrel')
      this.socket.send({ cmd: 'pubcomp', messageId: packet.messageId } as Packet);
    if (packet.cmd !== 'publish') return;
    this.got.push(packet.payload.toString());
    if (!this.answers || packet.qos === 0) return;
    const cmd = packet.qos === 1 ? 'puback' : 'pubrec';
    this.socket.send({ cmd, messageId: packet.messageId } as Packet);
  }
}

export class Cluster {
  readonly nodes = new TestNodes();
  readonly cores: NodeCore[];
  readonly workers: Worker[] = [];
  #id = 1;

  constructor(settings: Settings = { replicas: 3 }) {
    this.cores = ['n1', 'n2', 'n3'].map((name) => this.nodes.add(name, settings));
    this.nodes.advance(10_000);
  }

  /** A member of a group at the node with that number. */
  worker(n: number, name: string, qos: 0 | 1 | 2 = 1, how = {}, filter = '$share/g/t/#'): Worker {
    const socket = this.nodes.connect(this.cores[n]!, { clientId: name, ...how });
    if (filter !== '') socket.subscribe([filter], qos);
    const worker = new Worker(socket);
    this.workers.push(worker);
    this.settle();
    return worker;
  }

  settle(ms = 200): void {
    for (let at = 0; at < ms; at += 20) {
      this.nodes.advance(20);
      for (const worker of this.workers) worker.run();
    }
  }

  publisher(n: number, clientId = 'p', how = {}): TestSocket {
    return this.nodes.connect(this.cores[n]!, { clientId, ...how });
  }

  publish(from: TestSocket, payloads: readonly string[], qos: 0 | 1 | 2 = 1, topic = 't/a'): void {
    for (const payload of payloads) {
      const id = this.#id++;
      from.publish(topic, { qos, id, payload });
      if (qos !== 2) continue;
      this.nodes.advance(60);
      from.send({ cmd: 'pubrel', messageId: id } as Packet);
    }
  }
}

export const upTo = (n: number) => Array.from({ length: n }, (_, i) => `${i}`);
export const all = (...workers: Worker[]) =>
  workers.flatMap(({ got }) => got).sort((a, b) => Number(a) - Number(b));
