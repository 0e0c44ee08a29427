import assert from 'node:assert/strict';
import type { AgentPlan, Present } from './agent-process.ts';
import { Machines, NOT_INSTALLED } from './namespaces.ts';
import { Remote } from './remote.ts';

const PORT = 7946;

describe('discovery between machines', function () {
  this.timeout(60_000);
  const missing = Machines.missing();
  let machines: Machines | undefined;
  const running: Remote[] = [];

  const start = (n: number, plan: Partial<AgentPlan>): Remote => {
    const listen = `10.77.0.${n}:${PORT}`;
    const whole = { name: `n${n}`, bootEpoch: 1, clusterId: '', listen, discovery: [], ...plan };
    assert.ok(machines !== undefined);
    const remote = new Remote(machines.on(n), whole);
    running.push(remote);
    return remote;
  };

  /** With SHOAL_REQUIRE_TOOLS=1 a missing program is a failure; machines that refuse are not. */
  const itBetween = (title: string, test: () => Promise<void>): void => {
    if (missing === undefined) it(title, test);
    else if (missing === NOT_INSTALLED && process.env['SHOAL_REQUIRE_TOOLS'] === '1') {
      it(title, () => {
        throw new Error(missing);
      });
    } else it(`${title} (skipped: ${missing})`);
  };

  before(() => {
    if (missing === undefined) machines = new Machines(3);
  });

  afterEach(async () => {
    await Promise.all(running.splice(0).map(async (remote) => await remote.stop()));
  });

  after(() => machines?.remove());

  const addressOf = (n: number): string => `10.77.0.${n}:${PORT}`;
  const all: Present = { n1: addressOf(1), n2: addressOf(2), n3: addressOf(3) };

  for (const [way, text] of [
    ['multicast', `multicast:239.192.77.1:${PORT + 1}`],
    ['a range, over UDP', `range:10.77.0.0/28:${PORT}`],
    ['a range, over TCP', `range+tcp:10.77.0.1-10.77.0.9:${PORT}`],
  ] as const) {
    itBetween(`three that know nothing of each other meet by ${way}`, async () => {
      const discovery = [text];
      const agents = [
        start(1, { clusterId: 'one', discovery }),
        start(2, { discovery }),
        start(3, { discovery }),
      ];
      await Promise.all(agents.map(async (agent) => await agent.sees(all)));
    });
  }

  itBetween('one that comes back under another address is found by who is left', async () => {
    const discovery = [`multicast:239.192.77.2:${PORT + 1}`];
    const [first, second, third] = [
      start(1, { clusterId: 'one', discovery }),
      start(2, { discovery }),
      start(3, { clusterId: 'one', discovery }),
    ];
    await Promise.all([first, second, third].map(async (agent) => await agent.sees(all)));
    await third.stop();
    await first.sees({ n1: addressOf(1), n2: addressOf(2) });
    machines?.addAddress(3, '10.77.0.33');
    // It knows its cluster, as from its disk, and no address.
    const listen = `10.77.0.33:${PORT}`;
    const moved = start(3, { clusterId: 'one', bootEpoch: 2, listen, discovery });
    const after = { ...all, n3: listen };
    await Promise.all([first, second, moved].map(async (agent) => await agent.sees(after)));
  });
});
