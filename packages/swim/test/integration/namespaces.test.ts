import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { AgentPlan, Present } from './agent-process.ts';
import { Machines, NOT_INSTALLED } from './namespaces.ts';

const PROGRAM = fileURLToPath(new URL('./agent-process.ts', import.meta.url));
const PORT = 7946;

/** An agent in a process of its own, on a machine of its own. */
class Remote {
  private readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  private present: Present = {};
  private complaints = '';
  private changed = (): void => {};

  constructor(command: readonly string[], plan: AgentPlan) {
    const [file = '', ...args] = command;
    this.child = spawn(
      file,
      [...args, process.execPath, '--conditions=shoal-source', PROGRAM, JSON.stringify(plan)],
      { stdio: ['pipe', 'pipe', 'pipe'] },
    );
    createInterface(this.child.stdout).on('line', (line) => {
      this.present = JSON.parse(line) as Present;
      this.changed();
    });
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.complaints = `${this.complaints}${text}`.slice(-10_000);
    });
  }

  /** Resolves once exactly these are present; mocha's timeout is the limit. */
  async sees(wanted: Present): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.changed = () => {
      const names = Object.keys(wanted);
      const all = names.every((name) => this.present[name] === wanted[name]);
      if (all && Object.keys(this.present).length === names.length) resolve();
    };
    this.child.once('exit', (code) => reject(new Error(`ended: ${code}\n${this.complaints}`)));
    this.changed();
    await promise;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.stdin.end();
    await exited;
  }
}

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
    // It knows its cluster, as from its disk, and nobody's address.
    const listen = `10.77.0.33:${PORT}`;
    const moved = start(3, { clusterId: 'one', bootEpoch: 2, listen, discovery });
    const after = { ...all, n3: listen };
    await Promise.all([first, second, moved].map(async (agent) => await agent.sees(after)));
  });
});
