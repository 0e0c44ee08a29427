import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { swimConfig } from '../config.ts';
import type { MemberState } from '../core/message.ts';
import type { SwimMember } from '../core/statement.ts';
import type { SwimErrorCode } from '../errors.ts';
import { SwimAgent, type SwimAgentOptions } from './agent.ts';
import { MemoryHub } from './memory.ts';

const config = swimConfig({}, 'test');
const running = new Set<SwimAgent>();

/** An agent whose member list can be awaited. */
class Watched {
  readonly agent: SwimAgent;
  private readonly watchers: Watchers;

  private constructor(agent: SwimAgent, watchers: Watchers) {
    this.agent = agent;
    this.watchers = watchers;
  }

  static async start(options: Partial<SwimAgentOptions> & { name: string }): Promise<Watched> {
    const watchers = new Watchers();
    const agent = await SwimAgent.start({
      config,
      bootEpoch: 1,
      clusterId: '',
      listen: '127.0.0.1:0',
      meta: new TextEncoder().encode(options.name),
      ...options,
      onMembers: (members) => watchers.notify(members),
    });
    running.add(agent);
    return new Watched(agent, watchers);
  }

  /** Resolves as soon as the members are in these states; the test's own timeout is the limit. */
  async sees(states: Readonly<Record<string, MemberState>>): Promise<readonly SwimMember[]> {
    return await this.until((members) =>
      Object.entries(states).every(
        ([name, state]) => members.find((member) => member.name === name)?.state === state,
      ),
    );
  }

  /** Resolves as soon as the condition holds. */
  async until(
    condition: (members: readonly SwimMember[]) => boolean,
  ): Promise<readonly SwimMember[]> {
    return await this.watchers.wait(this.agent.members(), condition);
  }

  async stop(): Promise<void> {
    running.delete(this.agent);
    await this.agent.stop();
  }
}

class Watchers {
  private readonly waiting = new Set<(members: readonly SwimMember[]) => void>();

  notify(members: readonly SwimMember[]): void {
    for (const check of this.waiting) check(members);
  }

  wait(
    members: readonly SwimMember[],
    condition: (members: readonly SwimMember[]) => boolean,
  ): Promise<readonly SwimMember[]> {
    return new Promise((resolve) => {
      const check = (present: readonly SwimMember[]): void => {
        if (!condition(present)) return;
        this.waiting.delete(check);
        resolve(present);
      };
      this.waiting.add(check);
      check(members);
    });
  }
}

async function three(): Promise<[Watched, Watched, Watched]> {
  const a = await Watched.start({ name: 'a', clusterId: 'one' });
  const seeds = [a.agent.address];
  const b = await Watched.start({ name: 'b', seeds });
  const c = await Watched.start({ name: 'c', seeds });
  for (const node of [a, b, c]) await node.sees({ a: 'alive', b: 'alive', c: 'alive' });
  return [a, b, c];
}

describe('SwimAgent on real sockets', function () {
  this.timeout(20_000);

  afterEach(async () => {
    for (const agent of running) await agent.stop();
    running.clear();
  });

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

  it('finds a member that stopped without a word faulty, and keeps the others', async () => {
    const [a, b, c] = await three();
    await b.stop();
    await a.sees({ b: 'faulty', c: 'alive' });
    await c.sees({ a: 'alive', b: 'faulty' });
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
    assert.equal(a.agent.forceLeave('b'), false);
    await b.stop();
    await a.sees({ b: 'faulty' });
    assert.equal(a.agent.forceLeave('b'), true);
    assert.equal(a.agent.forceLeave('nobody'), false);
    await c.sees({ b: 'left' });
  });

  it('replaces a member reborn on the same address under a newer boot epoch at once', async () => {
    const [a, b, c] = await three();
    const listen = b.agent.address;
    await b.stop();
    const reborn = await Watched.start({
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

  it('pulls in a waiting joiner, and refuses another cluster, nobody, and itself', async () => {
    const a = await Watched.start({ name: 'a', clusterId: 'one' });
    const waiting = await Watched.start({ name: 'w' });
    const notices: SwimErrorCode[] = [];
    const other = await Watched.start({
      name: 'o',
      clusterId: 'two',
      onNotice: (code) => notices.push(code),
    });
    await a.agent.join(waiting.agent.address);
    assert.equal(waiting.agent.clusterId, 'one');
    await waiting.sees({ a: 'alive' });
    await assert.rejects(a.agent.join(other.agent.address), { code: 'SWIM_ERR_OTHER_CLUSTER' });
    assert.deepEqual(notices, ['SWIM_ERR_OTHER_CLUSTER']);
    assert.equal(a.agent.members().length, 2);
    assert.equal(other.agent.members().length, 1);
    await assert.rejects(a.agent.join(a.agent.address), { code: 'SWIM_ERR_OWN_ADDRESS' });
    const lonely = await Watched.start({ name: 'l' });
    const lonelier = await Watched.start({ name: 'm' });
    await assert.rejects(lonely.agent.join(lonelier.agent.address), {
      code: 'SWIM_ERR_NO_CLUSTER',
    });
    const gone = lonelier.agent.address;
    await lonelier.stop();
    await assert.rejects(a.agent.join(gone), { code: 'SWIM_ERR_UNREACHABLE' });
    await assert.rejects(a.agent.join('nonsense'), { code: 'SWIM_ERR_ADDRESS_INVALID' });
  });

  it('joins by host name and ignores the own address among the seeds', async () => {
    const a = await Watched.start({ name: 'a', clusterId: 'one' });
    const port = a.agent.address.split(':')[1];
    const b = await Watched.start({
      name: 'b',
      listen: 'localhost:0',
      seeds: [`localhost:${port}`],
    });
    await b.sees({ a: 'alive' });
    await assert.rejects(a.agent.join(`localhost:${port}`), { code: 'SWIM_ERR_OWN_ADDRESS' });
  });

  it('hands connections that do not speak SWIM on, with every byte', async () => {
    const foreign = Promise.withResolvers<[Socket, Buffer]>();
    const a = await Watched.start({
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
    assert.equal(a.agent.counters.otherVersion, 1);
    await a.sees({ a: 'alive', b: 'alive', c: 'alive' });
  });

  it('says that an address is in use, invalid, or needs to be advertised', async () => {
    const a = await Watched.start({ name: 'a', clusterId: 'one' });
    const start = (listen: string) => Watched.start({ name: 'b', listen, insecure: true });
    await assert.rejects(start(a.agent.address), { code: 'SWIM_ERR_ADDRESS_IN_USE' });
    await assert.rejects(start('127.0.0.1'), { code: 'SWIM_ERR_ADDRESS_INVALID' });
    await assert.rejects(start('192.0.2.1:0'), { code: 'SWIM_ERR_ADDRESS_INVALID' });
    await assert.rejects(start('0.0.0.0:0'), { code: 'SWIM_ERR_ADDRESS_INVALID' });
    const all = await Watched.start({
      name: 'b',
      listen: '0.0.0.0:0',
      insecure: true,
      advertise: '127.0.0.1:0',
      seeds: [a.agent.address],
    });
    await a.sees({ b: 'alive' });
    assert.match(all.agent.address, /^127\.0\.0\.1:\d+$/);
  });

  it('runs over a transport of the caller, here in memory', async () => {
    const hub = new MemoryHub();
    const start = (name: string, options: Partial<SwimAgentOptions>) =>
      Watched.start({ name, listen: `${name}:0`, transport: hub.open, ...options });
    const a = await start('a', { clusterId: 'one' });
    const b = await start('b', { seeds: [a.agent.address] });
    const c = await start('c', { seeds: [a.agent.address] });
    for (const node of [a, b, c]) await node.sees({ a: 'alive', b: 'alive', c: 'alive' });
    await b.stop();
    await c.sees({ a: 'alive', b: 'faulty' });
  });

  it('leaves the port free at once when it stops, and says so to those who wait', async () => {
    const silent = createServer(() => {});
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const port = (silent.address() as { port: number }).port;
    const a = await Watched.start({ name: 'a', clusterId: 'one' });
    const joining = a.agent.join(`127.0.0.1:${port}`);
    const rejected = assert.rejects(joining, { code: 'SWIM_ERR_STOPPED' });
    await a.stop();
    await rejected;
    const next = await Watched.start({ name: 'b', clusterId: 'one', listen: a.agent.address });
    assert.equal(next.agent.address, a.agent.address);
    await assert.rejects(a.agent.join('127.0.0.1:1'), { code: 'SWIM_ERR_STOPPED' });
    await a.agent.stop();
    silent.close();
  });
});
