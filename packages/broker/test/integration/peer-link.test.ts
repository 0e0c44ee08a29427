import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  encodeFrame,
  encodeHello,
  LINK_MAGIC,
  LINK_VERSION,
} from '../../src/edge/link/link-frame.ts';
import type { PeerLinksInit } from '../../src/edge/link/peer-link.ts';
import { LinkNode as Node } from './link-node.ts';

describe('PeerLinks', () => {
  const nodes: Node[] = [];
  const node = async (
    name: string,
    bootEpoch: number,
    init: Partial<PeerLinksInit> = {},
  ): Promise<Node> => {
    const made = new Node(name, bootEpoch, init);
    nodes.push(made);
    await made.listen();
    return made;
  };
  /** Two nodes with a link. */
  const pair = async (): Promise<[Node, Node]> => {
    const a = await node('a', 1);
    const b = await node('b', 7);
    for (const at of [a, b]) at.links.setPeers([a.listed, b.listed]);
    await Promise.all([a.saw('up b 7'), b.saw('up a 1')]);
    return [a, b];
  };

  afterEach(async () => {
    await Promise.all(nodes.splice(0).map((at) => at.stop()));
  });

  it('makes one link per pair, dialled by the smaller name, known on both sides', async () => {
    const [a, b] = await pair();
    assert.equal(a.sockets.size, 0);
    assert.equal(b.sockets.size, 1);
    assert.deepEqual([a.events, b.events], [['up b 7'], ['up a 1']]);
    assert.equal(a.links.isUp('b'), true);
  });

  it('carries frames of any size in order, both ways', async () => {
    const [a, b] = await pair();
    const sizes = [1, 16 * 1024, 16 * 1024 + 1, 1024 * 1024, 3, 65_536];
    for (const [i, size] of sizes.entries()) {
      a.links.send('b', Buffer.alloc(size, i));
      b.links.send('a', Buffer.alloc(size, 255 - i));
    }
    await Promise.all([
      b.until(() => b.frames.length === sizes.length),
      a.until(() => a.frames.length === sizes.length),
    ]);
    for (const [i, size] of sizes.entries()) {
      assert.ok(b.frames[i]!.equals(Buffer.alloc(size, i)), `frame ${i} to b`);
      assert.ok(a.frames[i]!.equals(Buffer.alloc(size, 255 - i)), `frame ${i} to a`);
    }
  });

  it('gives a link up rather than send a frame that the peer would refuse', async () => {
    const [a, b] = await pair();
    a.links.send('b', Buffer.alloc(1024 * 1024 + 1));
    await Promise.all([a.saw('up b 7', 2), b.saw('up a 1', 2)]);
    assert.deepEqual(a.events, ['up b 7', 'down b', 'up b 7']);
    assert.deepEqual(b.frames, []);
  });

  it('says down and reset when the connection breaks, and links again', async () => {
    const [a, b] = await pair();
    for (const socket of b.sockets) socket.resetAndDestroy();
    await Promise.all([a.saw('up b 7', 2), b.saw('up a 1', 2)]);
    assert.deepEqual(a.events, ['up b 7', 'down b', 'reset b', 'up b 7']);
    // It was asked whether a listens, which it does.
    assert.deepEqual(b.events.toSorted(), ['down a', 'reset a', 'up a 1', 'up a 1']);
    a.links.send('b', Buffer.from('again'));
    await b.saw('frame a again');
  });

  it('says on both sides when nothing listens at the peer any more', async () => {
    const [a, b] = await pair();
    await b.stop();
    await a.saw('gone b 7');
    const [c, d] = [await node('c', 3), await node('d', 4)];
    for (const at of [c, d]) at.links.setPeers([c.listed, d.listed]);
    await d.saw('up c 3');
    await c.stop();
    await d.saw('gone c 3');
    assert.deepEqual(d.events, ['up c 3', 'down c', 'reset c', 'gone c 3']);
    assert.equal(a.events.filter((event) => event.startsWith('gone')).length, 1);
  });

  it('drops the link of a peer that is no longer listed, and calls back only later', async () => {
    const [a, b] = await pair();
    a.links.setPeers([a.listed]);
    assert.deepEqual(a.events, ['up b 7']);
    a.links.send('b', Buffer.from('lost'));
    await Promise.all([a.saw('down b'), b.saw('reset a')]);
    assert.deepEqual(a.events, ['up b 7', 'down b']);
    assert.equal(b.events.includes('frame a lost'), false);
  });

  it('dials until the peer is there', async () => {
    const b = new Node('b', 7);
    nodes.push(b);
    const placeholder = await node('x', 1);
    const { port } = placeholder;
    await placeholder.stop();
    const a = await node('a', 1);
    a.links.setPeers([{ name: 'b', bootEpoch: 7, address: `127.0.0.1:${port}` }]);
    await a.until(() => a.logs.some((line) => line.includes('no connection')));
    await b.listen(port);
    b.links.setPeers([a.listed]);
    await Promise.all([a.saw('up b 7'), b.saw('up a 1')]);
  });

  it('waits to be listed: a dialler that is not a member yet is refused and tries again', async () => {
    const a = await node('a', 1);
    const b = await node('b', 7);
    a.links.setPeers([b.listed]);
    await b.until(() => b.logs.some((line) => line.includes('not a member')));
    assert.deepEqual(a.events, []);
    b.links.setPeers([a.listed]);
    await Promise.all([a.saw('up b 7'), b.saw('up a 1')]);
  });

  it('replaces the link when the peer is listed with a newer boot epoch', async () => {
    const [a, b] = await pair();
    const port = b.port;
    // Frozen rather than stopped: its connection stays open, as that of a paused process would.
    b.server.close();
    const reborn = new Node('b', 8);
    nodes.push(reborn);
    await reborn.listen();
    reborn.links.setPeers([a.listed]);
    assert.notEqual(reborn.port, port);
    a.links.setPeers([reborn.listed]);
    await a.saw('up b 8');
    assert.deepEqual(a.events, ['up b 7', 'down b', 'up b 8']);
    a.links.send('b', Buffer.from('to 8'));
    await reborn.saw('frame a to 8');
    assert.equal(b.events.includes('frame a to 8'), false);
  });

  describe('against a hand-made peer', () => {
    const hello = (
      fields: { clusterId?: string; name?: string; bootEpoch?: number } = {},
    ): Buffer =>
      Buffer.concat([
        Buffer.of(LINK_MAGIC),
        ...encodeFrame(
          encodeHello({
            version: LINK_VERSION,
            clusterId: 'cluster',
            name: 'a',
            bootEpoch: 1,
            ...fields,
          }),
        ),
      ]);
    const dial = async (to: Node, ...bytes: Uint8Array[]): Promise<Socket> => {
      const socket = connect(to.port, '127.0.0.1');
      socket.on('error', () => {});
      await once(socket, 'connect');
      for (const chunk of bytes) socket.write(chunk);
      return socket;
    };
    const ended = async (socket: Socket): Promise<void> => {
      socket.resume();
      await once(socket, 'close');
    };

    it('takes a newer connection of the same peer: down first, the old one unheard', async () => {
      const b = await node('b', 7);
      b.links.setPeers([{ name: 'a', bootEpoch: 1, address: '127.0.0.1:1' }]);
      const first = await dial(b, hello());
      await b.saw('up a 1');
      const second = await dial(b, hello({ bootEpoch: 2 }));
      await b.saw('up a 2');
      first.write(encodeFrame(Buffer.from('old'))[0]!);
      second.write(encodeFrame(Buffer.from('new'))[0]!);
      await b.saw('frame a new');
      await ended(first);
      assert.deepEqual(b.events, ['up a 1', 'down a', 'up a 2', 'frame a new']);
      const third = await dial(b, hello({ bootEpoch: 1 }));
      await ended(third);
      assert.equal(b.links.isUp('a'), true);
      assert.equal(b.events.length, 4);
      second.destroy();
    });

    it('refuses other clusters, and says so once', async () => {
      const b = await node('b', 7);
      b.links.setPeers([{ name: 'a', bootEpoch: 1, address: '127.0.0.1:1' }]);
      for (let i = 0; i < 3; i++) await ended(await dial(b, hello({ clusterId: 'other' })));
      assert.deepEqual(b.events, []);
      assert.equal(b.logs.filter((line) => line.includes('JOIN_OTHER_CLUSTER')).length, 1);
    });

    it('refuses other versions: BROKER_ERR_PEER_INCOMPATIBLE', async () => {
      const b = await node('b', 7);
      const bytes = hello();
      bytes[5] = LINK_VERSION + 1;
      await ended(await dial(b, bytes));
      assert.ok(b.logs.some((line) => line.includes('BROKER_ERR_PEER_INCOMPATIBLE')));
    });

    it('refuses everybody while it belongs to no cluster', async () => {
      const b = await node('b', 7, { clusterId: () => '' });
      b.links.setPeers([{ name: 'a', bootEpoch: 1, address: '127.0.0.1:1' }]);
      await ended(await dial(b, hello({ clusterId: '' })));
      assert.deepEqual(b.events, []);
    });

    it('refuses a dialler whose name is not the smaller one', async () => {
      const b = await node('b', 7);
      b.links.setPeers([{ name: 'c', bootEpoch: 1, address: '127.0.0.1:1' }]);
      await ended(await dial(b, hello({ name: 'c' })));
      assert.deepEqual(b.events, []);
    });

    it('closes on bytes that are no link, no HELLO or no frame', async () => {
      const b = await node('b', 7);
      b.links.setPeers([{ name: 'a', bootEpoch: 1, address: '127.0.0.1:1' }]);
      await ended(await dial(b, Buffer.from('GET / HTTP/1.1\r\n\r\n')));
      await ended(await dial(b, Buffer.of(LINK_MAGIC, 0, 0, 0, 2, 1, 1)));
      await ended(await dial(b, Buffer.of(LINK_MAGIC, 0x7f, 0, 0, 0)));
      assert.deepEqual(b.events, []);
      await ended(await dial(b, hello(), Buffer.of(0xff, 0xff, 0xff, 0xff)));
      // Nothing listens where a is said to be.
      assert.deepEqual(b.events.slice(0, 3), ['up a 1', 'down a', 'reset a']);
    });

    it('resets the link of a peer that takes nothing, and keeps its memory bounded', async () => {
      const b = await node('b', 7, { pendingBytesMax: 1_000_000 });
      b.links.setPeers([{ name: 'a', bootEpoch: 1, address: '127.0.0.1:1' }]);
      const deaf = await dial(b, hello());
      deaf.pause();
      await b.saw('up a 1');
      const frame = Buffer.alloc(500_000);
      // The kernel takes some megabytes before anything is pending.
      for (let sent = 0; sent < 200 && b.links.isUp('a'); sent++) {
        b.links.send('a', frame);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await b.saw('down a');
      assert.deepEqual(b.events, ['up a 1', 'down a']);
      await ended(deaf);
    });
  });

  it('calls no handler after close', async () => {
    const [a, b] = await pair();
    a.links.close();
    a.links.setPeers([b.listed]);
    a.links.send('b', Buffer.from('x'));
    await b.saw('reset a');
    assert.deepEqual(a.events, ['up b 7']);
  });
});
