import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { ClusterStatus, ReadinessReport, SessionExplanation } from '../../src/index.ts';
import { TestClient, TestCluster } from './cluster.ts';

const PROGRAM = new URL('./hanging-node.ts', import.meta.url);
/** Reasons with which a node is ready. */
const WARNINGS = ['shards-wait', 'under-replicated', 'sessions-at-risk'];

/** Nodes in this process, and others that are to go away, each in a process of its own. */
class Away {
  readonly cluster = new TestCluster(3);
  readonly #here: readonly string[];
  readonly #children = new Map<string, ChildProcess>();

  constructor(here: readonly string[]) {
    this.#here = here;
  }

  async start(others: readonly string[]): Promise<void> {
    for (const name of this.#here) await this.cluster.start(name);
    for (const name of others) await this.startChild(name);
    const all = this.#here.length + others.length;
    for (const name of this.#here)
      await this.cluster.until<ClusterStatus>(
        name,
        '/api/v1/cluster',
        ({ members, underReplicated }) =>
          underReplicated.count === 0 &&
          members.filter(({ shardsHeld }) => shardsHeld > 0).length === all,
      );
  }

  async startChild(name: string): Promise<void> {
    const child = fork(PROGRAM, [JSON.stringify(await this.cluster.flags(name))]);
    this.#children.set(name, child);
    await once(child, 'message');
  }

  signal(name: string, signal: NodeJS.Signals): void {
    this.#children.get(name)?.kill(signal);
  }

  async kill(name: string): Promise<void> {
    const child = this.#children.get(name) as ChildProcess;
    this.#children.delete(name);
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  async stop(): Promise<void> {
    for (const name of [...this.#children.keys()]) await this.kill(name);
    await this.cluster.stop();
  }

  status(name: string, wanted: (status: ClusterStatus) => boolean): Promise<ClusterStatus> {
    return this.cluster.until(name, '/api/v1/cluster', wanted);
  }

  /** Every node here is ready, with warnings at most, and names none of those here. */
  async blamesNobodyHere(): Promise<void> {
    for (const name of this.#here) {
      const { status, body } = await this.cluster.ask<ReadinessReport>(name, '/ready');
      assert.equal(status, 200, JSON.stringify(body));
      for (const { reason, message } of body.reasons) {
        assert.ok(WARNINGS.includes(reason), `${name}: ${reason}`);
        for (const other of this.#here)
          assert.doesNotMatch(message, new RegExp(`\\b${other}\\b`), `${name}: ${message}`);
      }
    }
  }
}

describe('one of three nodes is stopped by SIGSTOP', function () {
  this.timeout(120_000);
  const away = new Away(['n1', 'n2']);

  before(() => away.start(['n3']));
  after(() => away.stop());

  it('the others stay ready, serve, and name it alone, until it goes on', async () => {
    away.signal('n3', 'SIGSTOP');
    for (const via of ['n1', 'n2']) {
      const node = away.cluster.nodes.get(via);
      assert.ok(node);
      const client = await TestClient.connect(node, `at-${via}`);
      await client.publish('unrelated');
      await away.blamesNobodyHere();
      await client.close();
    }
    const { paused } = await away.status('n1', ({ silent }) =>
      silent.some(({ name, state }) => name === 'n3' && state === 'faulty'),
    );
    assert.deepEqual(paused, []);
    await away.blamesNobodyHere();
    away.signal('n3', 'SIGCONT');
    await away.status(
      'n1',
      ({ silent, underReplicated }) => silent.length === 0 && underReplicated.count === 0,
    );
    await away.blamesNobodyHere();
  });
});

describe('two of five nodes are killed', function () {
  this.timeout(120_000);
  const here = ['n1', 'n2', 'n3'];
  const away = new Away(here);

  before(() => away.start(['n4', 'n5']));
  after(() => away.stop());

  /** A Client Identifier whose shard has a majority of its voters here. */
  async function served(): Promise<string> {
    for (let n = 0; ; n++) {
      const path = `/api/v1/sessions/client-${n}/explain`;
      const { body } = await away.cluster.ask<SessionExplanation>('n1', path);
      if ((body.view?.voters ?? []).filter((name) => here.includes(name)).length > 1)
        return `client-${n}`;
    }
  }

  it('the others stay ready, serve what they can, and say what waits, for whom, until one is back', async () => {
    const clientId = await served();
    await Promise.all([away.kill('n4'), away.kill('n5')]);
    const { paused } = await away.status(
      'n1',
      ({ paused: told }) => told.filter(({ what }) => what === 'shards').length === here.length,
    );
    for (const { missing, message, remedy } of paused.filter(({ what }) => what === 'shards')) {
      assert.deepEqual(
        missing.map(({ name }) => name),
        ['n4', 'n5'],
      );
      assert.match(message, /n4 \(.*\) and n5 \(.*\) do not answer/);
      for (const name of ['n4', 'n5']) assert.match(remedy, new RegExp(`\\b${name}\\b`));
    }
    const node = away.cluster.nodes.get('n2');
    assert.ok(node);
    const client = await TestClient.connect(node, clientId);
    await client.publish('unrelated');
    await client.close();
    await away.blamesNobodyHere();
    for (const name of here) {
      const { body } = await away.cluster.ask<ReadinessReport>(name, '/ready');
      const { message } = body.reasons.find(({ reason }) => reason === 'shards-wait') ?? {};
      assert.match(message ?? '', /of 16 shards wait for a leader; of their voters n4 .* n5 /);
    }
    await away.startChild('n4');
    await away.status('n1', (status) => status.paused.length === 0);
    await away.blamesNobodyHere();
  });
});
