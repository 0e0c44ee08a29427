import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { swimConfig } from '../../src/config.ts';
import type { AgentPlan, Present } from './agent-process.ts';
import { Machines } from './namespaces.ts';
import { Remote } from './remote.ts';

const PORT = 7946;
const PROXY = fileURLToPath(new URL('./proxy-process.ts', import.meta.url));
const addressOf = (n: number): string => `10.77.0.${n}:${PORT}`;
const ALL: Present = { n1: addressOf(1), n2: addressOf(2), n3: addressOf(3), n4: addressOf(4) };
const { silenceMs: SILENCE_MS } = swimConfig();

/**
 * Hosts that answer for a member that lives, and hosts that are silent for one that does not: four processes
 * on machines of their own, at default settings. A wrong guess is refuted, or costs what a crash costs.
 */
describe('what hosts say of members', function () {
  this.timeout(90_000);
  const missing = Machines.missing() ?? Machines.noFilter();
  let machines: Machines;
  const agents = new Map<string, Remote>();

  const itBetween = (title: string, test: () => Promise<void>): void => {
    if (missing === undefined) it(title, test);
    else if (process.env['SHOAL_REQUIRE_TOOLS'] === '1' && /installed/.test(missing)) {
      it(title, () => {
        throw new Error(missing);
      });
    } else it(`${title} (skipped: ${missing})`);
  };

  const start = (n: number, plan: Partial<AgentPlan> = {}): Remote => {
    const remote = new Remote(machines.on(n), {
      name: `n${n}`,
      bootEpoch: 1,
      clusterId: n === 2 ? 'c' : '',
      listen: addressOf(n),
      discovery: [],
      seeds: [addressOf(2)],
      preset: 'lan',
      ...plan,
    });
    agents.set(`n${n}`, remote);
    return remote;
  };
  const others = (): Remote[] =>
    ['n2', 'n3', 'n4'].map((name) => {
      const agent = agents.get(name);
      assert.ok(agent);
      return agent;
    });
  const allSee = async (wanted: Present): Promise<void> => {
    await Promise.all([...agents.values()].map(async (agent) => await agent.sees(wanted)));
  };
  const condemned = async (name: string): Promise<void> => {
    await Promise.all(others().map(async (agent) => await agent.condemns(name)));
  };
  /** Forms the cluster; verdicts of that time are not judged. */
  const form = async (plan: Partial<AgentPlan> = {}): Promise<void> => {
    for (const n of [2, 3, 4]) start(n);
    start(1, plan);
    await allSee(ALL);
  };
  const callFaulty = (): string[] => others().flatMap(({ faulty }) => [...faulty]);

  beforeEach(() => {
    if (missing === undefined) machines = new Machines(4);
  });
  afterEach(async () => {
    await Promise.all([...agents.values()].map(async (agent) => await agent.stop()));
    agents.clear();
    if (missing === undefined) machines.remove();
  });

  for (const [how, reject] of [
    ['a reset', 'reject with tcp reset'],
    ['an ICMP message', 'reject'],
  ] as const) {
    itBetween(`a firewall that rejects streams by ${how}: no member is called faulty`, async () => {
      await form();
      // A fifth of the datagrams gets lost besides, so that pings often go without an answer.
      const lossy = `udp dport ${PORT} numgen random mod 5 == 0 drop`;
      machines.filter(1, [`tcp dport ${PORT} ${reject}`, lossy]);
      await delay(10_000);
      machines.filter(1, []);
      assert.deepEqual(callFaulty(), []);
      await allSee(ALL);
    });
  }

  itBetween('a firewall that rejects all is a crash to the others, until it goes', async () => {
    await form();
    machines.filter(1, [`tcp dport ${PORT} reject with tcp reset`, `udp dport ${PORT} reject`]);
    const sinceMs = performance.now();
    await condemned('n1');
    const tookMs = performance.now() - sinceMs;
    machines.filter(1, []);
    await allSee(ALL);
    assert.ok(tookMs < SILENCE_MS, `as a crash, not as silence: ${tookMs}`);
    assert.deepEqual(callFaulty(), ['n1', 'n1', 'n1']);
  });

  itBetween('a proxy that accepts for a paused member, or a dead one, is silence', async () => {
    const listen = `10.77.0.1:${PORT + 1}`;
    const [command = '', ...args] = [...machines.on(1), process.execPath];
    const own = ['--conditions=shoal-source', PROXY, addressOf(1), listen];
    const proxy = spawn(command, [...args, ...own], { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      await once(proxy.stdout, 'data');
      await form({ listen, advertise: addressOf(1) });
      const member = agents.get('n1');
      assert.ok(member);
      member.signal('SIGSTOP');
      await delay(4_000);
      member.signal('SIGCONT');
      await allSee(ALL);
      assert.deepEqual(callFaulty(), []);
      // Its end is found all the same, after the silence.
      const sinceMs = performance.now();
      await member.kill();
      await condemned('n1');
      assert.ok(performance.now() - sinceMs > SILENCE_MS);
    } finally {
      proxy.kill();
      await once(proxy, 'exit');
    }
  });

  itBetween('a paused member whose backlog overflows is not taken for a dead one', async () => {
    await form();
    const member = agents.get('n1');
    assert.ok(member);
    member.signal('SIGSTOP');
    const [command = '', ...args] = machines.on(3);
    // More connections than the kernel keeps for a listener of Node.js, 511; those that are too many wait.
    const flood = `const net = require('node:net'); for (let n = 0; n < 700; n += 1)
      net.connect(${PORT}, '10.77.0.1').on('error', () => {}); process.stdin.resume();
      process.stdin.on('end', () => process.exit());`;
    const flooding = spawn(command, [...args, process.execPath, '-e', flood], {
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    await delay(4_500);
    member.signal('SIGCONT');
    flooding.stdin.end();
    await allSee(ALL);
    assert.deepEqual(callFaulty(), []);
    await once(flooding, 'exit');
  });

  itBetween(
    'a restart on the same port, again and again: it is back, and no other suffers',
    async () => {
      await form();
      for (let bootEpoch = 2; bootEpoch < 6; bootEpoch++) {
        await agents.get('n1')?.kill();
        start(1, { bootEpoch, clusterId: 'c' });
        await allSee(ALL);
      }
      assert.deepEqual(
        callFaulty().filter((name) => name !== 'n1'),
        [],
      );
    },
  );
});
