import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { swimConfig } from '../../src/config.ts';
import type { SwimMember } from '../../src/core/message.ts';
import type { Discovery, DiscoveryHost, HelloWrap } from '../../src/discovery/discovery.ts';
import { dnsSeeds } from '../../src/discovery/dns.ts';
import { Hello } from '../../src/discovery/hello.ts';
import { multicastSeeds } from '../../src/discovery/multicast.ts';
import { SwimAgent } from '../../src/runtime/agent.ts';
import type { SwimAgentOptions } from '../../src/runtime/agent-options.ts';
import { generateKey } from '../../src/security/keyring.ts';
import { DnsServer } from './dns-server.ts';

const config = swimConfig({ discoveryIntervalMs: 100 }, 'test');

/** What one round of a discovery finds, sorted. */
async function search(discovery: Discovery, host = {} as DiscoveryHost): Promise<string[]> {
  const finder = await discovery.open(host);
  const seeds = new Set<string>();
  try {
    await finder.search((seed) => seeds.add(seed), new AbortController().signal);
  } finally {
    await finder.close();
  }
  return [...seeds].sort();
}

describe('discovery on real sockets', function () {
  this.timeout(20_000);
  const running = new Set<SwimAgent>();
  let changed = (): void => {};

  async function start(name: string, options: Partial<SwimAgentOptions> = {}): Promise<SwimAgent> {
    const agent = await SwimAgent.start({
      config,
      name,
      bootEpoch: 1,
      clusterId: '',
      listen: '127.0.0.1:0',
      meta: new Uint8Array(),
      ...options,
      onMembers: () => changed(),
    });
    running.add(agent);
    return agent;
  }

  /** Resolves once all of these agents see all of them alive. */
  async function meet(...agents: readonly SwimAgent[]): Promise<void> {
    const names = agents.map((agent) => agent.members().find(isSelf(agent))?.name ?? '');
    const whole = (): boolean =>
      agents.every((agent) =>
        names.every((name) =>
          agent.members().some((member) => member.name === name && member.state === 'alive'),
        ),
      );
    const met = Promise.withResolvers<void>();
    changed = () => {
      if (whole()) met.resolve();
    };
    changed();
    await met.promise;
  }

  const isSelf = (agent: SwimAgent) => (member: SwimMember) => member.address === agent.address;
  const portOf = (agent: SwimAgent): number => Number(agent.address.split(':').at(-1));

  afterEach(async () => {
    await Promise.all([...running].map(async (agent) => await agent.stop()));
    running.clear();
  });

  describe('DNS', () => {
    let dns: DnsServer;

    beforeEach(async () => {
      dns = await DnsServer.start();
    });

    afterEach(async () => {
      await dns.stop();
    });

    const ask = (options: { name: string; port?: number; type?: 'A' | 'AAAA' | 'SRV' }) =>
      search(dnsSeeds({ ...options, servers: [dns.address], timeoutMs: 300 }));

    it('names every address of a name, A and AAAA', async () => {
      dns.set('A', 'swim.test', '10.0.0.1', '10.0.0.2');
      dns.set('AAAA', 'swim.test', '2001:db8::1');
      const [a, b, six] = ['10.0.0.1:7', '10.0.0.2:7', '[2001:db8::1]:7'];
      assert.deepEqual(await ask({ name: 'swim.test', port: 7 }), [a, b, six]);
      assert.deepEqual(await ask({ name: 'swim.test', port: 7, type: 'A' }), [a, b]);
      assert.deepEqual(await ask({ name: 'swim.test', port: 7, type: 'AAAA' }), [six]);
    });

    it('names every service with its own port, whatever became of the others', async () => {
      dns.setServices('_swim._udp.test', ['n1.test', 1], ['n2.test', 2], ['gone.test', 3]);
      dns.set('A', 'n1.test', '10.0.0.1');
      dns.set('AAAA', 'n2.test', '2001:db8::2');
      assert.deepEqual(await ask({ name: '_swim._udp.test', type: 'SRV' }), [
        '10.0.0.1:1',
        '[2001:db8::2]:2',
      ]);
      dns.silent.add('n1.test');
      assert.deepEqual(await ask({ name: '_swim._udp.test', type: 'SRV' }), ['[2001:db8::2]:2']);
    });

    it('says when a name is not there, or no server answers', async () => {
      await assert.rejects(ask({ name: 'nowhere.test', port: 7 }), { code: 'ENOTFOUND' });
      dns.silent.add('swim.test');
      await assert.rejects(ask({ name: 'swim.test', port: 7 }), { code: 'ETIMEOUT' });
      await assert.rejects(ask({ name: 'swim.test', type: 'SRV' }), { code: 'ETIMEOUT' });
    });

    it('ends at once when it is given up', async () => {
      dns.silent.add('swim.test');
      const finder = await dnsSeeds({ name: 'swim.test', port: 7, servers: [dns.address] }).open(
        {} as DiscoveryHost,
      );
      const given = new AbortController();
      const searching = finder.search(() => {}, given.signal);
      given.abort();
      await searching;
    });

    it('lets agents join by name, and by service', async () => {
      const a = await start('a', { clusterId: 'one' });
      dns.set('A', 'swim.test', '127.0.0.1');
      dns.setServices('_swim._udp.test', ['swim.test', portOf(a)]);
      const b = await start('b', { discovery: [`dns:swim.test:${portOf(a)}@${dns.address}`] });
      const c = await start('c', { discovery: [`srv:_swim._udp.test@${dns.address}`] });
      await meet(a, b, c);
    });

    it('follows a name to its new address', async () => {
      dns.set('A', 'swim.test', '127.0.0.9');
      const a = await start('a', { clusterId: 'one', listen: '127.0.0.2:0' });
      const b = await start('b', { discovery: [`dns:swim.test:${portOf(a)}@${dns.address}`] });
      const first = await start('first', {
        discovery: [`dns:other.test:${portOf(a)}@${dns.address}`],
      });
      assert.equal(b.members().length, 1);
      dns.set('A', 'swim.test', '127.0.0.2');
      dns.set('A', 'other.test', '127.0.0.2');
      await meet(a, b, first);
    });

    it('goes on with the others when a server is down, and with that once it is back', async () => {
      const down = await DnsServer.start();
      const { address } = down;
      await down.stop();
      const warnings: unknown[] = [];
      const a = await start('a', { clusterId: 'one' });
      const b = await start('b', {
        discovery: [
          `dns:swim.test:${portOf(a)}@${address}`,
          `dns:nowhere.test:7@${dns.address}`,
          a.address,
        ],
        log: (_level, _message, fields) => warnings.push(fields?.['discovery']),
      });
      await meet(a, b);
      assert.ok(!warnings.includes(a.address));
    });
  });

  describe('multicast', () => {
    it('lets agents that know nothing of each other meet', async () => {
      const discovery = [`multicast:${group()}@127.0.0.1`];
      const a = await start('a', { clusterId: 'one', discovery });
      const b = await start('b', { discovery });
      const c = await start('c', { discovery });
      await meet(a, b, c);
    });

    it('keeps clusters, and groups, apart', async () => {
      const place = group();
      const discovery = [`multicast:${place}@127.0.0.1`];
      await start('a', { clusterId: 'one', discovery });
      await start('b', { clusterId: 'two', discovery });
      await start('c', { clusterId: 'three', discovery: [`multicast:${group()}`] });
      const [address = '', port] = place.split(':');
      const asks = async (clusterId: string, wrap = PLAIN): Promise<number> => {
        const hello = new Hello({
          address: 'me:1',
          clusterId: () => clusterId,
          nowMs: () => performance.now(),
        });
        const options = { group: address, port: Number(port), iface: '127.0.0.1' };
        const host = { address: 'me:1', transport, hello, wrap, presentCount: () => 1 };
        return (await search(multicastSeeds(options), host)).length;
      };
      assert.deepEqual(
        [await asks('one'), await asks('two'), await asks('four'), await asks('')],
        [1, 1, 0, 2],
      );
      // A member with another key is not heard, and hears no other.
      const sealed: HelloWrap = {
        wrap: (bytes) => bytes.map((byte) => byte ^ 0x55),
        unwrap: (_from, bytes) => bytes.map((byte) => byte ^ 0x55),
      };
      assert.equal(await asks('', sealed), 0);
      assert.deepEqual(
        [...running].map((agent) => agent.members().length),
        [1, 1, 1],
      );
    });

    it('is answered by eight of many, not by all, and not by who is suspended', async () => {
      const [address = '', port] = group().split(':');
      const way = multicastSeeds({ group: address, port: Number(port), iface: '127.0.0.1' });
      const open = async (at: string, present: number, silent: boolean) => {
        const hello = new Hello({
          address: at,
          clusterId: () => 'c',
          nowMs: () => performance.now(),
          answers: () => !silent,
        });
        const presentCount = (): number => present;
        return await way.open({ address: at, transport, hello, wrap: PLAIN, presentCount });
      };
      const finders = [
        await open('few:1', 8, false),
        await open('many:1', Number.MAX_SAFE_INTEGER, false),
        await open('silent:1', 1, true),
        await open('asker:1', 1, false),
      ];
      const seeds = new Set<string>();
      await finders[3]?.search((seed) => seeds.add(seed), new AbortController().signal);
      await Promise.all(finders.map(async (finder) => await finder.close()));
      assert.deepEqual([...seeds], ['few:1']);
    });

    it('says which interface is not there', async () => {
      const warned = Promise.withResolvers<unknown>();
      await start('a', {
        discovery: [`multicast:${group()}@192.0.2.1`],
        log: (_level, _message, fields) => warned.resolve(fields?.['reason']),
      });
      assert.match(String(await warned.promise), /EADDRNOTAVAIL/);
    });
  });

  describe('range', () => {
    for (const kind of ['range', 'range+tcp']) {
      it(`finds agents over ${kind === 'range' ? 'UDP' : 'TCP'}`, async () => {
        const a = await start('a', { clusterId: 'one', listen: '127.0.77.3:0' });
        const port = portOf(a);
        const b = await start('b', {
          listen: `127.0.77.9:${port}`,
          discovery: [`${kind}:127.0.77.0/28:${port}`],
        });
        const c = await start('c', {
          listen: `127.0.78.1:${port}`,
          discovery: [`${kind}:127.0.77.8-127.0.77.20:${port}`],
        });
        await meet(a, b, c);
      });
    }

    it('is not held up by who listens there and says nothing', async () => {
      const silent = await listening('127.0.77.5');
      const { port } = silent.address() as AddressInfo;
      const a = await start('a', { clusterId: 'one', listen: `127.0.77.7:${port}` });
      const b = await start('b', {
        listen: `127.0.77.6:${port}`,
        discovery: [`range+tcp:127.0.77.1-127.0.77.9:${port}`],
      });
      await meet(a, b);
      silent.close();
    });
  });

  describe('with a keyring', () => {
    const keyring = [generateKey()];

    for (const kind of ['multicast', 'range', 'range+tcp']) {
      it(`lets a member with the key join by ${kind}, and no other`, async () => {
        const own = `multicast:${group()}@127.0.0.1`;
        const a = await start('a', {
          clusterId: 'one',
          listen: '127.0.79.1:0',
          keyring,
          discovery: kind === 'multicast' ? [own] : [],
        });
        const port = portOf(a);
        const way = kind === 'multicast' ? own : `${kind}:127.0.79.1-127.0.79.4:${port}`;
        const stranger = await start('x', {
          listen: `127.0.79.3:${port}`,
          keyring: [generateKey()],
          discovery: [way],
        });
        const clear = await start('y', { listen: `127.0.79.4:${port}`, discovery: [way] });
        const b = await start('b', {
          listen: `127.0.79.2:${port}`,
          keyring,
          discovery: [way],
        });
        await meet(a, b);
        assert.deepEqual(
          [a, b, stranger, clear].map((agent) => agent.members().length),
          [2, 2, 1, 1],
        );
      });
    }
  });

  it('tries every way at once', async () => {
    const a = await start('a', { clusterId: 'one' });
    const hasSix = Object.values(networkInterfaces())
      .flat()
      .some((at) => at?.address === '::1');
    const b = await start('b', {
      discovery: ['127.0.0.1:1', hasSix ? '[::1]:1' : 'localhost:1', `localhost:${portOf(a)}`],
    });
    await meet(a, b);
  });

  it('refuses a text that is none, with nothing left open', async () => {
    await assert.rejects(start('a', { discovery: ['mdns:x:1'] }), { code: 'SWIM_ERR_DISCOVERY' });
  });
});

/** Another group and port for each test: other runs on this machine are not ours. */
function group(): string {
  const byte = () => 1 + Math.floor(Math.random() * 250);
  const port = 20_000 + Math.floor(Math.random() * 30_000);
  return `239.192.${byte()}.${byte()}:${port}`;
}

/** Nothing goes over it: a multicast group is asked from a socket of its own. */
const transport = { address: '127.0.0.1:1', send: () => {}, request: () => {} };
const PLAIN: HelloWrap = { wrap: (bytes) => bytes, unwrap: (_from, bytes) => bytes };

async function listening(host: string): Promise<Server> {
  const server = createServer(() => {});
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(0, host, resolve);
  await promise;
  return server;
}
