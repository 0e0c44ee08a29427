/** When a Will is sent, and when not, across two nodes. */
import assert from 'node:assert/strict';
import type { NodeCore } from '../../src/node/node.ts';
import { shardOf } from '../../src/placement/hash.ts';
import { TestNodes, type TestSocket } from './nodes.ts';

const GRACE_MS = 1000;
const KEPT = { clean: false, properties: { sessionExpiryInterval: 100 } };

function will(text: string, qos: 0 | 1 | 2 = 1, properties: object = {}) {
  return {
    will: { topic: `w/${text}`, payload: Buffer.from(text), qos, retain: false, properties },
  };
}

function messages(socket: TestSocket): string[] {
  return socket
    .take()
    .filter((p) => p.cmd === 'publish')
    .map((p) => `${p.payload}`);
}

describe('node: Wills', () => {
  let nodes: TestNodes;
  let n1: NodeCore;
  let n2: NodeCore;
  let observer: TestSocket;
  /** A client whose session is led by n2. */
  let clientId: string;

  beforeEach(() => {
    nodes = new TestNodes();
    n1 = nodes.add('n1');
    n2 = nodes.add('n2');
    nodes.advance(3000);
    const ids = Array.from({ length: 200 }, (_, i) => `c${i}`);
    clientId = ids.find((id) => n1.views.leader(shardOf(id, n1.shardCount)) === 'n2')!;
    observer = nodes.connect(n1, { clientId: 'observer' }).subscribe(['w/#'], 0);
    nodes.advance(1000);
    observer.take();
    nodes.latencyMs = 40;
  });

  for (const kind of ['stored', 'live'] as const) {
    const options = kind === 'stored' ? KEPT : {};

    it(`are not sent after DISCONNECT, though the client is elsewhere before its node has told (${kind})`, () => {
      const first = nodes.connect(n1, { clientId, ...options, ...will('a') });
      nodes.advance(500);
      first.send({ cmd: 'disconnect' });
      const second = nodes.connect(n2, { clientId, ...options });
      nodes.advance(2000);
      assert.equal(second.packets[0]?.cmd, 'connack');
      assert.deepEqual(messages(observer), []);
    });

    it(`are not sent if that DISCONNECT is read after the newer CONNECT (${kind})`, () => {
      const first = nodes.connect(n1, { clientId, ...options, ...will('a') });
      nodes.advance(500);
      const second = nodes.connect(n2, { clientId, ...options });
      nodes.advance(60);
      first.send({ cmd: 'disconnect' });
      nodes.advance(2000);
      assert.equal(second.packets[0]?.cmd, 'connack');
      assert.deepEqual(messages(observer), []);
    });

    it(`of a connection that is taken over are sent once, before the new one is answered (${kind})`, () => {
      nodes.connect(n1, { clientId, ...options, ...will('death', 0) });
      nodes.advance(500);
      const second = nodes.connect(n2, { clientId, ...options });
      for (let ms = 0; ms < 2000 && second.packets.length === 0; ms += 20) nodes.advance(20);
      assert.equal(second.packets[0]?.cmd, 'connack');
      second.publish('w/birth');
      nodes.advance(2000);
      assert.deepEqual(messages(observer), ['death', 'x']);
    });

    it(`do not hold a takeover up for longer than the grace, if their node cannot say (${kind})`, () => {
      nodes.connect(n1, { clientId, ...options, ...will('a') });
      nodes.advance(500);
      nodes.cut('n1', 'n2');
      const second = nodes.connect(n2, { clientId, ...options });
      nodes.advance(GRACE_MS - 100);
      assert.equal(second.packets.length, 0);
      nodes.advance(GRACE_MS + 200);
      assert.equal(second.packets[0]?.cmd, 'connack');
    });

    it(`wait when the server sends clients away, and are not sent if they come back in time (${kind})`, () => {
      nodes.connect(n1, { clientId, ...options, ...will('back') });
      const ids = ['stays-away', clientId];
      nodes.connect(n1, { clientId: ids[0]!, ...options, ...will('away') });
      nodes.advance(500);
      const other = nodes.connect(n2, { clientId: 'other' }).subscribe(['w/#'], 0);
      nodes.advance(500);
      n1.disconnectAll(0x8b);
      nodes.advance(300);
      assert.deepEqual(messages(other), []);
      nodes.connect(n2, { clientId, ...options });
      nodes.advance(3000);
      assert.deepEqual(messages(other), ['away']);
    });
  }

  it('of a connection that is taken over are sent, though its node stops in the same moment', () => {
    nodes.connect(n1, { clientId, ...will('death') });
    nodes.advance(500);
    const other = nodes.connect(n2, { clientId: 'other' }).subscribe(['w/#'], 0);
    nodes.advance(500);
    nodes.connect(n2, { clientId });
    nodes.advance(60);
    n1.disconnectAll(0x8b);
    nodes.advance(2000);
    assert.deepEqual(messages(other), ['death']);
  });

  it('expire counted from their publication (§3.1.3.2.4)', () => {
    const properties = { messageExpiryInterval: 3 };
    const client = nodes.connect(n1, { clientId, ...will('late', 1, properties) });
    nodes.advance(10_000);
    client.end();
    nodes.advance(500);
    const [message] = observer.take();
    assert.ok(message?.cmd === 'publish');
    assert.equal(message.properties?.messageExpiryInterval, 3);
  });
});
