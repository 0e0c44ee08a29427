import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { swimConfig } from '../../src/config.ts';
import type { UserEvent } from '../../src/core/event-codec.ts';
import type { SwimMember } from '../../src/core/message.ts';
import type { SwimErrorCode } from '../../src/errors.ts';
import { SwimAgent } from '../../src/runtime/agent.ts';
import type { SwimAgentOptions } from '../../src/runtime/agent-options.ts';
import { generateKey, keyId } from '../../src/security/keyring.ts';
import { MemoryHub } from '../../src/sim/memory.ts';
import { SwimThread } from '../../src/thread/swim-thread.ts';
import { type Start, stopAll, Watched } from '../watched.ts';

/** One suite for whatever runs a membership. */
function describeHandle(title: string, begin: Start): void {
  describe(`membership on real sockets, ${title}`, function () {
    this.timeout(20_000);

    const watch = (options: Parameters<typeof Watched.start>[1]) => Watched.start(begin, options);

    async function three(): Promise<[Watched, Watched, Watched]> {
      const a = await watch({ name: 'a', clusterId: 'one' });
      const seeds = [a.agent.address];
      const b = await watch({ name: 'b', seeds });
      const c = await watch({ name: 'c', seeds });
      for (const node of [a, b, c]) await node.sees({ a: 'alive', b: 'alive', c: 'alive' });
      return [a, b, c];
    }

    afterEach(stopAll);

    it('joins through seeds, carries metadata and the cluster id', async () => {
      const [a, , c] = await three();
      assert.equal(c.agent.clusterId, 'one');
      const members = await c.sees({ b: 'alive' });
      const b = members.find((member) => member.name === 'b');
      assert.equal(new TextDecoder().decode(b?.meta), 'b');
      assert.deepEqual(
        members.map((member) => member.name),
        ['a', 'b', 'c'],
      );
      assert.equal(members[0]?.address, a.agent.address);
    });

    it('joins through who it discovers, and refuses a way that is none', async () => {
      const a = await watch({ name: 'a', clusterId: 'one', listen: '127.0.74.1:0' });
      const port = a.agent.address.split(':')[1];
      for (const [name, kind] of [
        ['b', 'range'],
        ['c', 'range+tcp'],
      ] as const) {
        const discovery = [`${kind}:127.0.74.1-127.0.74.3:${port}`];
        await (await watch({ name, discovery })).sees({ a: 'alive' });
      }
      await a.sees({ a: 'alive', b: 'alive', c: 'alive' });
      const wrong = watch({ name: 'd', discovery: ['mdns:swim.example:1'] });
      await assert.rejects(wrong, { code: 'SWIM_ERR_DISCOVERY' });
    });

    it('leaves loopback with a key only, also where other connections are taken', async () => {
      const onForeignStream = (socket: Socket): void => void socket.destroy();
      const wide = { name: 'a', listen: '0.0.0.0:0', advertise: '192.0.2.1:1' };
      for (const options of [wide, { ...wide, onForeignStream }]) {
        await assert.rejects(watch(options), { code: 'SWIM_ERR_KEY_REQUIRED' });
        await watch({ ...options, keyring: [generateKey()] });
      }
    });

    it('finds a member that stopped without a word faulty, and keeps the others', async () => {
      const [a, b, c] = await three();
      await b.stop();
      await a.sees({ b: 'faulty', c: 'alive' });
      await c.sees({ a: 'alive', b: 'faulty' });
    });

    it('takes the word of an owner that saw a process end, and of that process that it lives', async () => {
      const [a, b, c] = await three();
      const incarnationOf = (members: readonly SwimMember[]) =>
        members.find(({ name }) => name === 'b')?.incarnation ?? 0;
      a.agent.reportEnd('b');
      await c.until((members) => incarnationOf(members) > 0);
      for (const node of [a, b, c]) await node.sees({ b: 'alive' });
    });

    it('tells left from faulty', async () => {
      const [a, b, c] = await three();
      await b.agent.leave();
      await b.stop();
      await a.sees({ b: 'left' });
      await c.sees({ b: 'left' });
    });

    it('counts a dead member as left once an operator says so', async () => {
      const [a, b, c] = await three();
      assert.equal(await a.agent.forceLeave('b'), false);
      await b.stop();
      await a.sees({ b: 'faulty' });
      assert.equal(await a.agent.forceLeave('b'), true);
      assert.equal(await a.agent.forceLeave('nobody'), false);
      await c.sees({ b: 'left' });
    });

    it('replaces a member reborn on the same address under a newer boot epoch at once', async () => {
      const [a, b, c] = await three();
      const listen = b.agent.address;
      await b.stop();
      const reborn = await watch({
        name: 'b',
        bootEpoch: 2,
        clusterId: 'one',
        listen,
        seeds: [a.agent.address],
      });
      await reborn.sees({ a: 'alive', b: 'alive', c: 'alive' });
      for (const node of [a, c]) {
        const isReborn = (member: SwimMember) => member.name === 'b' && member.bootEpoch === 2;
        const members = await node.until((present) => present.some(isReborn));
        assert.equal(members.find(isReborn)?.state, 'alive');
      }
      await reborn.stop();
      await c.sees({ b: 'faulty' });
      assert.equal(c.agent.members().find((member) => member.name === 'b')?.bootEpoch, 2);
    });

    it('says of itself that it is unwell, and that it is well again', async () => {
      const [a, b, c] = await three();
      for (const unwell of [true, false]) {
        b.agent.setUnwell(unwell);
        const isSeen = ({ name, state, ...member }: SwimMember) =>
          name === 'b' && state === 'alive' && member.unwell === unwell;
        for (const node of [a, b, c]) await node.until((members) => members.some(isSeen));
      }
    });

    it('tells of single members: who comes, who changes, who goes', async () => {
      const told: string[] = [];
      const say = (what: string) => (member: SwimMember) => {
        if (member.name === 'b') told.push(`${what} ${member.state}`);
      };
      const callbacks = { onJoin: say('join'), onUpdate: say('update'), onLeave: say('leave') };
      const a = await watch({ name: 'a', clusterId: 'one', ...callbacks });
      const b = await watch({ name: 'b', seeds: [a.agent.address] });
      await a.sees({ b: 'alive' });
      b.agent.setMeta(new Uint8Array(3));
      await a.until((members) => members.some(({ name, meta }) => name === 'b' && meta[0] === 0));
      await b.agent.leave();
      await a.sees({ b: 'left' });
      // Of each list after onMembers: that of the last one comes in the same turn.
      await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(told, ['join alive', 'update alive', 'leave left']);
    });

    it('spreads a change of metadata', async () => {
      const [a, b, c] = await three();
      b.agent.setMeta(new TextEncoder().encode('changed'));
      const isChanged = (member: SwimMember) =>
        member.name === 'b' && new TextDecoder().decode(member.meta) === 'changed';
      for (const node of [a, c]) await node.until((members) => members.some(isChanged));
      assert.throws(() => b.agent.setMeta(new Uint8Array(513)), {
        code: 'SWIM_ERR_META_TOO_LARGE',
      });
    });

    it('pulls in a waiting joiner, and refuses another cluster, a closed address, and itself', async () => {
      const a = await watch({ name: 'a', clusterId: 'one' });
      const waiting = await watch({ name: 'w' });
      const noticed = Promise.withResolvers<SwimErrorCode>();
      const other = await watch({
        name: 'o',
        clusterId: 'two',
        onNotice: noticed.resolve,
      });
      await a.agent.join(waiting.agent.address);
      await waiting.sees({ a: 'alive' });
      assert.equal(waiting.agent.clusterId, 'one');
      await assert.rejects(a.agent.join(other.agent.address), { code: 'SWIM_ERR_OTHER_CLUSTER' });
      assert.equal(await noticed.promise, 'SWIM_ERR_OTHER_CLUSTER');
      assert.equal(a.agent.members().length, 2);
      assert.equal(other.agent.members().length, 1);
      await assert.rejects(a.agent.join(a.agent.address), { code: 'SWIM_ERR_OWN_ADDRESS' });
      const lonely = await watch({ name: 'l' });
      const lonelier = await watch({ name: 'm' });
      await assert.rejects(lonely.agent.join(lonelier.agent.address), {
        code: 'SWIM_ERR_NO_CLUSTER',
      });
      const gone = lonelier.agent.address;
      await lonelier.stop();
      await assert.rejects(a.agent.join(gone), { code: 'SWIM_ERR_UNREACHABLE' });
      await assert.rejects(a.agent.join('nonsense'), { code: 'SWIM_ERR_ADDRESS_INVALID' });
    });

    it('joins by host name and ignores the own address among the seeds', async () => {
      const a = await watch({ name: 'a', clusterId: 'one' });
      const port = a.agent.address.split(':')[1];
      const b = await watch({
        name: 'b',
        listen: 'localhost:0',
        seeds: [`localhost:${port}`],
      });
      await b.sees({ a: 'alive' });
      await assert.rejects(a.agent.join(`localhost:${port}`), { code: 'SWIM_ERR_OWN_ADDRESS' });
    });

    it('hands connections that do not speak SWIM on, with every byte', async () => {
      const foreign = Promise.withResolvers<[Socket, Buffer]>();
      const a = await watch({
        name: 'a',
        clusterId: 'one',
        onForeignStream: (socket, head) => {
          socket.on('error', () => {});
          foreign.resolve([socket, head]);
        },
      });
      const client = connect(Number(a.agent.address.split(':')[1]), '127.0.0.1');
      client.write('hello');
      const [socket, head] = await foreign.promise;
      assert.equal(head.toString(), 'hello');
      client.write(' there');
      socket.resume();
      const [rest] = (await once(socket, 'data')) as [Buffer];
      assert.equal(rest.toString(), ' there');
      // Connections handed on outlive the agent.
      await a.stop();
      socket.write('bye');
      const [answer] = (await once(client, 'data')) as [Buffer];
      assert.equal(answer.toString(), 'bye');
      client.destroy();
      socket.destroy();
    });

    it('changes the keyring of all, once each has kept it, and hears no member without a key', async () => {
      const [old, next] = [generateKey(), generateKey()];
      const kept: string[][] = [];
      // Each member has time to keep its ring, also on a busy machine.
      const config = swimConfig({ streamTimeoutMs: 20_000 }, 'test');
      const a = await watch({ name: 'a', clusterId: 'one', config, keyring: [old] });
      const seeds = [a.agent.address];
      const b = await watch({
        name: 'b',
        seeds,
        config,
        keyring: [old],
        onKeyring: async (keys) => {
          await Promise.resolve();
          kept.push(keys.map(keyId));
        },
      });
      const c = await watch({
        name: 'c',
        seeds,
        config,
        keyring: [old],
        onKeyring: () => Promise.reject(new Error('no room')),
      });
      for (const node of [a, b, c]) await node.sees({ a: 'alive', b: 'alive', c: 'alive' });
      const installed = await a.agent.keyring.install(next);
      assert.deepEqual(
        installed.map(({ name, errorCode, keys }) => errorCode ?? `${name} ${keys?.length}`),
        ['a 2', 'b 2', 'SWIM_ERR_KEYRING_STORE'],
      );
      assert.deepEqual(kept, [[keyId(old), keyId(next)]]);
      await assert.rejects(b.agent.keyring.use(keyId(next)), { code: 'SWIM_ERR_KEY_MISSING' });
      const strange = await watch({ name: 's', clusterId: 'one', keyring: [generateKey()] });
      await assert.rejects(strange.agent.join(a.agent.address), { code: 'SWIM_ERR_UNREACHABLE' });
      while (a.agent.counters.sealKeyUnknown === 0) await new Promise(setImmediate);
      const noise = connect(Number(a.agent.address.split(':')[1]), '127.0.0.1');
      noise.on('error', () => {});
      noise.write(Buffer.from([0x53, 0, 1, 0, 0]));
      noise.write(Buffer.alloc(60, 0x45));
      // Closed though most of it never came.
      noise.resume();
      await once(noise, 'close');
    });

    it('tells every member an event, once and itself too; refuses what is too large', async () => {
      const heard = new Map<string, string[]>();
      const all = Promise.withResolvers<void>();
      const listener = (name: string) => {
        const events: string[] = [];
        heard.set(name, events);
        return (event: UserEvent): void => {
          events.push(
            `${event.name} ${new TextDecoder().decode(event.payload)} of ${event.origin}`,
          );
          if ([...heard.values()].every(({ length }) => length === 2)) all.resolve();
        };
      };
      const a = await watch({ name: 'a', clusterId: 'one', onEvent: listener('a') });
      const b = await watch({ name: 'b', seeds: [a.agent.address], onEvent: listener('b') });
      for (const node of [a, b]) await node.sees({ a: 'alive', b: 'alive' });
      await a.agent.broadcast('deploy', new TextEncoder().encode('v2'));
      await b.agent.broadcast('ready');
      await all.promise;
      for (const events of heard.values()) {
        assert.deepEqual(events.sort(), ['deploy v2 of a', 'ready  of b']);
      }
      await assert.rejects(a.agent.broadcast('deploy', new Uint8Array(513)), {
        code: 'SWIM_ERR_EVENT_SIZE',
      });
      await a.stop();
      await assert.rejects(a.agent.broadcast('deploy'), { code: 'SWIM_ERR_STOPPED' });
    });

    it('survives noise on both transports', async () => {
      const [a] = await three();
      const noise = connect(Number(a.agent.address.split(':')[1]), '127.0.0.1');
      noise.on('error', () => {});
      noise.write(Buffer.from([0x53, 0xff, 0xff, 0xff, 0xff, 0x00]));
      await once(noise, 'close');
      const dull = connect(Number(a.agent.address.split(':')[1]), '127.0.0.1');
      dull.on('error', () => {});
      dull.write(Buffer.from([0x53, 0, 0, 0, 2, 0x53, 0x63]));
      // It is told which version is spoken here, and hears it out.
      dull.resume();
      await once(dull, 'close');
      while (a.agent.counters.otherVersion !== 1) await new Promise(setImmediate);
      await a.sees({ a: 'alive', b: 'alive', c: 'alive' });
    });

    it('says that an address is in use, invalid, or needs to be advertised', async () => {
      const a = await watch({ name: 'a', clusterId: 'one' });
      const start = (listen: string) => watch({ name: 'b', listen, insecure: true });
      await assert.rejects(start(a.agent.address), { code: 'SWIM_ERR_ADDRESS_IN_USE' });
      await assert.rejects(start('127.0.0.1'), { code: 'SWIM_ERR_ADDRESS_INVALID' });
      await assert.rejects(start('192.0.2.1:0'), { code: 'SWIM_ERR_ADDRESS_INVALID' });
      await assert.rejects(start('0.0.0.0:0'), { code: 'SWIM_ERR_ADDRESS_INVALID' });
      const all = await watch({
        name: 'b',
        listen: '0.0.0.0:0',
        insecure: true,
        advertise: '127.0.0.1:0',
        seeds: [a.agent.address],
      });
      await a.sees({ b: 'alive' });
      assert.match(all.agent.address, /^127\.0\.0\.1:\d+$/);
    });

    it('answers every call after its departure, and those that wait for it', async () => {
      const silent = createServer(() => {});
      silent.listen(0, '127.0.0.1');
      await once(silent, 'listening');
      const port = (silent.address() as { port: number }).port;
      const a = await watch({ name: 'a', clusterId: 'one' });
      const b = await watch({ name: 'b', seeds: [a.agent.address] });
      await b.sees({ a: 'alive' });
      const stopped = { code: 'SWIM_ERR_STOPPED' };
      const waiting = assert.rejects(b.agent.join(`127.0.0.1:${port}`), stopped);
      await b.agent.leave();
      await waiting;
      await assert.rejects(b.agent.join(a.agent.address), stopped);
      await assert.rejects(b.agent.broadcast('x'), stopped);
      await b.agent.leave();
      silent.close();
    });

    it('fills in what may be left out, and refuses what is of a wrong type', async () => {
      const plain = { name: 'a', clusterId: 'one' };
      for (const config of [undefined, {}, { protocolPeriodMs: 200 }]) {
        const node = await watch({ ...plain, config, meta: undefined });
        assert.equal(node.agent.members()[0]?.meta.length, 0);
        await node.stop();
      }
      for (const [wrong, code] of [
        [{ config: { protocolPeriod: 5 } }, 'SWIM_ERR_CONFIG'],
        [{ config: { protocolPeriodMs: Number.NaN } }, 'SWIM_ERR_CONFIG'],
        [{ config: [] }, 'SWIM_ERR_CONFIG'],
        [{ bootEpoch: undefined }, 'SWIM_ERR_CONFIG'],
        [{ name: undefined }, 'SWIM_ERR_CONFIG'],
        [{ clusterId: 5 }, 'SWIM_ERR_CONFIG'],
        [{ meta: 'text' }, 'SWIM_ERR_CONFIG'],
        [{ seeds: '127.0.0.1:7946' }, 'SWIM_ERR_CONFIG'],
        [{ discovery: 'dns:x:1' }, 'SWIM_ERR_CONFIG'],
        [{ listen: undefined }, 'SWIM_ERR_CONFIG'],
        [{ advertise: 7946 }, 'SWIM_ERR_CONFIG'],
        [{ listen: '127.0.0.1' }, 'SWIM_ERR_ADDRESS_INVALID'],
        [{ keyring: ['0'.repeat(32)] }, 'SWIM_ERR_KEY_INVALID'],
        [{ keyring: '0'.repeat(32) }, 'SWIM_ERR_KEY_INVALID'],
      ] as const) {
        const options = { ...plain, ...wrong } as unknown as { name: string };
        await assert.rejects(watch(options), { name: 'SwimError', code }, JSON.stringify(wrong));
      }
    });

    it('refuses an identity that no message can carry, and seeds that are no addresses', async () => {
      for (const [options, reason] of [
        [{ name: '' }, /name: must have 1 to 128 bytes, and has 0/],
        [{ name: 'é'.repeat(65) }, /name: must have 1 to 128 bytes, and has 130/],
        [{ name: 'a', clusterId: 'c'.repeat(65) }, /clusterId: must have at most 64 bytes/],
        [{ name: 'a', bootEpoch: 1.5 }, /bootEpoch: must be a safe integer/],
      ] as const) {
        await assert.rejects(watch(options), { code: 'SWIM_ERR_CONFIG', message: reason });
      }
      await assert.rejects(watch({ name: 'a', seeds: ['nowhere'] }), {
        code: 'SWIM_ERR_ADDRESS_INVALID',
        message: /"nowhere" is not HOST:PORT/,
      });
    });

    it('goes on whatever its callbacks throw, and throws it to the process', async () => {
      const wrong = (): never => {
        throw new Error('on purpose');
      };
      const surfaced = collectUncaught();
      const heard: string[] = [];
      const all = Promise.withResolvers<void>();
      const a = await watch({ name: 'a', clusterId: 'one' });
      const b = await watch({
        name: 'b',
        seeds: [a.agent.address],
        onEvent: wrong,
        onView: wrong,
        onClusterId: wrong,
      });
      const onEvent = ({ name }: UserEvent): void => {
        if (heard.push(name) === 3) all.resolve();
      };
      const c = await watch({ name: 'c', seeds: [a.agent.address], onEvent });
      for (const node of [a, b, c]) await node.sees({ a: 'alive', b: 'alive', c: 'alive' });
      await b.agent.broadcast('one');
      // Only gossip spreads it: that of b has to go on after its own callback threw.
      b.agent.setMeta(new TextEncoder().encode('changed'));
      const isChanged = ({ name, meta }: SwimMember) =>
        name === 'b' && new TextDecoder().decode(meta) === 'changed';
      for (const node of [a, c]) await node.until((members) => members.some(isChanged));
      await b.agent.broadcast('two');
      await a.agent.broadcast('three');
      await all.promise;
      assert.deepEqual(heard.sort(), ['one', 'three', 'two']);
      // What it threw last comes in the next turn.
      await b.stop();
      await new Promise((resolve) => setImmediate(resolve));
      const thrown = surfaced();
      assert.ok(thrown.length >= 4, `${thrown.length}`);
      assert.deepEqual([...new Set(thrown)], ['on purpose']);
    });

    it('leaves the port free at once when it stops, and says so to those who wait', async () => {
      const silent = createServer(() => {});
      silent.listen(0, '127.0.0.1');
      await once(silent, 'listening');
      const port = (silent.address() as { port: number }).port;
      const a = await watch({ name: 'a', clusterId: 'one' });
      const joining = a.agent.join(`127.0.0.1:${port}`);
      const rejected = assert.rejects(joining, { code: 'SWIM_ERR_STOPPED' });
      await a.stop();
      await rejected;
      const next = await watch({ name: 'b', clusterId: 'one', listen: a.agent.address });
      assert.equal(next.agent.address, a.agent.address);
      await assert.rejects(a.agent.join('127.0.0.1:1'), { code: 'SWIM_ERR_STOPPED' });
      await a.agent.stop();
      silent.close();
    });
  });
}

/** From now on uncaught errors are collected; ends, and gives the messages. */
function collectUncaught(): () => string[] {
  const before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  const messages: string[] = [];
  process.on('uncaughtException', (error) => messages.push(error.message));
  return () => {
    process.removeAllListeners('uncaughtException');
    for (const listener of before) process.on('uncaughtException', listener);
    return messages;
  };
}

const onFailure = (error: Error): void => {
  throw error;
};

describeHandle('in the main loop', (options) => SwimAgent.start(options));
describeHandle('in a thread', (options) => SwimThread.start({ ...options, onFailure }));
describeHandle('in a thread, with a port shared', (options) =>
  SwimThread.start({ onForeignStream: (socket) => socket.destroy(), ...options, onFailure }),
);

describe('SwimAgent', () => {
  afterEach(stopAll);

  it('runs over a transport of the caller, here in memory', async () => {
    const hub = new MemoryHub();
    const start = (name: string, options: Partial<SwimAgentOptions>) =>
      Watched.start(SwimAgent.start, {
        name,
        listen: `${name}:0`,
        transport: hub.open,
        ...options,
      });
    const a = await start('a', { clusterId: 'one' });
    const b = await start('b', { seeds: [a.agent.address] });
    const c = await start('c', { seeds: [a.agent.address] });
    for (const node of [a, b, c]) await node.sees({ a: 'alive', b: 'alive', c: 'alive' });
    await b.stop();
    await c.sees({ a: 'alive', b: 'faulty' });
  });
});
