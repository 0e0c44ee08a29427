import assert from 'node:assert/strict';
import type { NodeCore } from '../../src/node/node.ts';
import { PACKET_IDS } from '../../src/session/session.ts';
import { TestNodes, type TestSocket } from './nodes.ts';

/** A subscriber whose PUBLISHes are read by hand: of 70,000 messages a parser would make a minute. */
class Reader {
  readonly socket: TestSocket;
  readonly arrived: { packetId: number; dup: boolean; payload: string }[] = [];
  readonly pubrels: number[] = [];

  constructor(nodes: TestNodes, core: NodeCore) {
    const properties = { sessionExpiryInterval: 600 };
    this.socket = nodes.accept(core);
    this.socket.write = (bytes) => this.#read(Buffer.from(bytes));
    this.socket.send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 5,
      clean: false,
      keepalive: 0,
      clientId: 'reader',
      properties,
    });
    nodes.advance(100);
  }

  #read(b: Buffer): void {
    if (b[0]! >> 4 === 6) this.pubrels.push(b.readUInt16BE(2));
    if (b[0]! >> 4 !== 3) return;
    const at = 4 + b.readUInt16BE(2);
    const packetId = b.readUInt16BE(at);
    this.arrived.push({ packetId, dup: (b[0]! & 8) !== 0, payload: b.toString('utf8', at + 3) });
  }

  /** Acknowledges in one write. */
  acknowledge(first: number, packetIds: readonly number[]): void {
    const bytes = Buffer.concat(packetIds.map((id) => Buffer.of(first, 2, id >> 8, id & 255)));
    this.socket.handler.onData(bytes, 0, bytes.length);
  }
}

const PUBACK = 0x40;
const PUBREC = 0x50;
const PUBCOMP = 0x70;

describe('a message of a stored session that is never acknowledged', () => {
  for (const qos of [1, 2] as const) {
    it(`stops no other at QoS ${qos}, and comes again under its identifier [MQTT-4.4.0-1]`, function () {
      this.timeout(60_000);
      const nodes = new TestNodes();
      const core = nodes.add('n1');
      const reader = new Reader(nodes, core);
      reader.socket.subscribe(['t'], qos);
      nodes.advance(100);
      const publisher = nodes.connect(core, { clientId: 'p' });
      nodes.advance(100);
      publisher.write = () => {};
      const total = PACKET_IDS + 300;
      const open = new Set<number>();
      let stuck = 0;
      let done = 0;
      for (let sent = 0; done < total || open.size > 1; ) {
        const from = sent;
        for (const until = Math.min(total, sent + 100); sent < until; sent++)
          publisher.publish('t', { qos, id: (sent % 60_000) + 1, payload: `${sent}` });
        nodes.advance(20);
        for (let n = from; qos === 2 && n < sent; n++)
          publisher.send({ cmd: 'pubrel', messageId: (n % 60_000) + 1 });
        const arrived = reader.arrived.splice(0);
        const pubrels = reader.pubrels.splice(0);
        assert.ok(arrived.length + pubrels.length > 0, `stopped after ${done}`);
        const acknowledged: number[] = [];
        for (const { packetId, dup, payload } of arrived) {
          assert.equal(payload, `${done++}`);
          assert.equal(dup, false);
          assert.ok(!open.has(packetId), `identifier ${packetId} twice under way`);
          open.add(packetId);
          if (payload === '10') stuck = packetId;
          else acknowledged.push(packetId);
        }
        for (const id of qos === 1 ? acknowledged : pubrels) open.delete(id);
        reader.acknowledge(qos === 1 ? PUBACK : PUBREC, acknowledged);
        if (qos === 2) reader.acknowledge(PUBCOMP, pubrels);
      }
      assert.deepEqual([...open], [stuck]);
      reader.socket.handler.onClosed();
      nodes.advance(100);
      const again = new Reader(nodes, core);
      nodes.advance(200);
      assert.deepEqual(again.arrived, [{ packetId: stuck, dup: true, payload: '10' }]);
      again.acknowledge(qos === 1 ? PUBACK : PUBREC, [stuck]);
      nodes.advance(100);
      if (qos === 2) assert.deepEqual(again.pubrels, [stuck]);
      publisher.publish('t', { qos: 1, id: 1, payload: 'last' });
      nodes.advance(100);
      assert.equal(again.arrived.at(-1)!.payload, 'last');
    });
  }
});
