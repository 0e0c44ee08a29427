import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Encryption } from '@shoal/swim';
import {
  encodeFrame,
  encodeHello,
  LINK_MAGIC,
  LINK_VERSION,
} from '../../src/edge/link/link-frame.ts';
import { LinkSecurity } from '../../src/edge/link/link-security.ts';
import { keyIdOf } from '../../src/edge/store/keyring-file.ts';
import { LinkNode } from './link-node.ts';

const one = new Uint8Array(32).fill(1);
const two = new Uint8Array(32).fill(2);

interface Secured {
  readonly node: LinkNode;
  readonly security: LinkSecurity;
}

describe('links with a keyring', () => {
  const nodes: LinkNode[] = [];
  const servers: Server[] = [];
  const sockets: Socket[] = [];

  afterEach(async () => {
    await Promise.all(nodes.splice(0).map((at) => at.stop()));
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) server.close();
  });

  async function start(
    name: string,
    keys: readonly Uint8Array[],
    encryption: Encryption = 'required',
    clusterId = 'cluster',
  ): Promise<Secured> {
    const security = new LinkSecurity({ keys, encryption, clusterId: () => clusterId });
    const node = new LinkNode(name, 1, { security, clusterId: () => clusterId });
    nodes.push(node);
    await node.listen();
    return { node, security };
  }

  async function startClear(name: string): Promise<LinkNode> {
    const node = new LinkNode(name, 1);
    nodes.push(node);
    await node.listen();
    return node;
  }

  /** Lists both to each other; `a` dials, at `via` if given. */
  function meet(a: LinkNode, b: LinkNode, via?: number): void {
    const listed = via === undefined ? b.listed : { ...b.listed, address: `127.0.0.1:${via}` };
    a.links.setPeers([a.listed, listed]);
    b.links.setPeers([a.listed, b.listed]);
  }

  /** Passes bytes on to a port, and keeps those of the dialler. */
  async function tap(to: number): Promise<{ port: number; bytes: () => Buffer; drop(): void }> {
    const chunks: Buffer[] = [];
    const passed: Socket[] = [];
    const server = createServer((from) => {
      const onward = connect(to, '127.0.0.1');
      for (const [socket, other] of [
        [from, onward],
        [onward, from],
      ] as const) {
        sockets.push(socket);
        passed.push(socket);
        socket.on('error', () => {});
        socket.on('close', () => other.destroy());
        socket.pipe(other);
      }
      from.on('data', (chunk: Buffer) => chunks.push(chunk));
    });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const drop = (): void => {
      for (const socket of passed.splice(0)) socket.destroy();
    };
    return {
      port: (server.address() as AddressInfo).port,
      bytes: () => Buffer.concat(chunks),
      drop,
    };
  }

  /** What comes back for these bytes until the other side closes. */
  async function answer(port: number, bytes: Uint8Array): Promise<Buffer> {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => {});
    socket.write(bytes);
    await once(socket, 'close');
    return Buffer.concat(chunks);
  }

  it('carry frames of any size, unreadable on the way', async () => {
    const [a, b] = [await start('a', [one]), await start('b', [two, one])];
    const wire = await tap(b.node.port);
    meet(a.node, b.node, wire.port);
    await Promise.all([a.node.saw('up b 1'), b.node.saw('up a 1')]);
    const large = Buffer.alloc(1_000_000, 'a secret ');
    a.node.links.send('b', Buffer.from('a secret'));
    a.node.links.send('b', large);
    b.node.links.send('a', Buffer.from('an answer'));
    await Promise.all([b.node.saw('frame a 1000000'), a.node.saw('frame b an answer')]);
    assert.deepEqual(b.node.frames, [Buffer.from('a secret'), large]);
    assert.equal(wire.bytes()[0], 0x45);
    assert.equal(wire.bytes().includes('secret'), false);
    assert.equal(wire.bytes().includes('cluster'), false);
  });

  it('come up as before when one was lost', async () => {
    const [a, b] = [await start('a', [one]), await start('b', [one])];
    const wire = await tap(b.node.port);
    meet(a.node, b.node, wire.port);
    await Promise.all([a.node.saw('up b 1'), b.node.saw('up a 1')]);
    wire.drop();
    await Promise.all([a.node.saw('up b 1', 2), b.node.saw('up a 1', 2)]);
  });

  for (const [what, make] of [
    ['another key', () => start('a', [two])],
    ['another cluster', () => start('a', [one], 'required', 'other')],
    ['clear text', async () => ({ node: await startClear('a') })],
  ] as const) {
    it(`are refused to ${what}, before any handshake and without an answer`, async () => {
      const b = await start('b', [one]);
      const { node: a } = await make();
      const wire = await tap(b.node.port);
      meet(a, b.node, wire.port);
      await a.until(() => a.logs.filter((line) => line.includes('no connection')).length >= 2);
      assert.deepEqual([a.events, b.node.events], [[], []]);
      assert.equal((await answer(b.node.port, wire.bytes())).length, 0);
    });
  }

  it('are refused to one who repeats what it heard', async () => {
    const [a, b] = [await start('a', [one]), await start('b', [one])];
    const wire = await tap(b.node.port);
    meet(a.node, b.node, wire.port);
    await b.node.saw('up a 1');
    const { refused } = b.security;
    assert.equal((await answer(b.node.port, wire.bytes())).length, 0);
    assert.equal(b.security.refused, refused + 1);
    assert.ok(b.node.links.isUp('a'));
  });

  it('come up past any number of connections that say nothing', async () => {
    const b = await start('b', [one]);
    for (let n = 0; n < 300; n++) {
      const socket = connect(b.node.port, '127.0.0.1');
      sockets.push(socket);
      socket.on('error', () => {});
      socket.write(Buffer.of(0x45));
      await once(socket, 'connect');
    }
    const a = await start('a', [one]);
    meet(a.node, b.node);
    await Promise.all([a.node.saw('up b 1'), b.node.saw('up a 1')]);
  });

  it('are refused to noise, whole or in pieces', async () => {
    const b = await start('b', [one]);
    const hello = { version: LINK_VERSION, clusterId: 'cluster', name: 'a', bootEpoch: 1 };
    const clear = Buffer.concat([Buffer.of(LINK_MAGIC), ...encodeFrame(encodeHello(hello))]);
    for (const bytes of [clear, Buffer.alloc(60, 0x45), Buffer.from([0x16, 3, 1]), Buffer.of(0)]) {
      assert.equal((await answer(b.node.port, bytes)).length, 0);
    }
    assert.deepEqual(b.node.events, []);
  });

  it('are reset when the peer takes nothing, with bounded memory', async () => {
    const keys = { keys: [one], encryption: 'required', clusterId: () => 'cluster' } as const;
    const security = new LinkSecurity(keys);
    const a = new LinkNode('a', 1, { security, pendingBytesMax: 4_000_000 });
    nodes.push(a);
    await a.listen();
    const b = await start('b', [one]);
    meet(a, b.node);
    await Promise.all([a.saw('up b 1'), b.node.saw('up a 1')]);
    for (const socket of b.node.sockets) socket.pause();
    const frame = Buffer.alloc(1_000_000);
    for (let sent = 0; sent < 100 && !a.events.includes('down b'); sent++) {
      a.links.send('b', frame);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(a.logs.some((line) => line.includes('takes data too slowly')));
  });

  it('end when their key is removed, and come up with the next one', async () => {
    const [a, b] = [await start('a', [one, two]), await start('b', [one, two])];
    meet(a.node, b.node);
    await Promise.all([a.node.saw('up b 1'), b.node.saw('up a 1')]);
    const change = (keys: readonly Uint8Array[]): void => {
      for (const { node, security } of [a, b]) {
        security.setKeys(keys);
        node.links.onKeyring();
      }
    };
    change([two, one]);
    assert.ok(a.node.links.isUp('b') && b.node.links.isUp('a'), 'a key in use stays on the ring');
    change([two]);
    assert.equal(a.security.holds(keyIdOf(one)), false);
    await Promise.all([a.node.saw('down b'), b.node.saw('down a')]);
    await Promise.all([a.node.saw('up b 1', 2), b.node.saw('up a 1', 2)]);
    a.node.links.send('b', Buffer.from('again'));
    await b.node.saw('frame a again');
  });

  it('come up between any two neighbouring steps of a move to encryption', async () => {
    const lenient: readonly Encryption[] = ['send-clear', 'accept-clear', 'required'];
    for (const dialler of [undefined, ...lenient]) {
      for (const acceptor of [undefined, ...lenient]) {
        const steps = [dialler, acceptor].map((step) =>
          step === undefined ? -1 : lenient.indexOf(step),
        ) as [number, number];
        if (Math.abs(steps[0] - steps[1]) > 1) continue;
        const make = async (name: string, step: Encryption | undefined) =>
          step === undefined ? await startClear(name) : (await start(name, [one], step)).node;
        const [a, b] = [await make('a', dialler), await make('b', acceptor)];
        meet(a, b);
        await Promise.all([a.saw('up b 1'), b.saw('up a 1')]);
      }
    }
  });
});
