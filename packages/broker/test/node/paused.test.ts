import assert from 'node:assert/strict';
import type { ClusterStatus } from '../../src/edge/admin/admin-backend.ts';
import { Backend } from '../../src/edge/admin/backend.ts';
import type { NodeCore } from '../../src/node/node.ts';
import { shardOf } from '../../src/placement/hash.ts';
import { TestNodes } from './nodes.ts';

/** Nodes with three copies of each of 16 shards, each with the backend that people ask. */
class Cluster {
  readonly nodes = new TestNodes();
  readonly #backends = new Map<string, Backend>();
  readonly #cores = new Map<string, NodeCore>();

  constructor(names: readonly string[]) {
    for (const name of names) this.add(name);
    this.nodes.advance(10_000);
  }

  add(name: string): void {
    const core = this.nodes.add(name, { replicas: 3 });
    this.#cores.set(name, core);
    this.#backends.set(name, backendOf(core));
  }

  kill(...names: readonly string[]): void {
    for (const name of names) this.nodes.kill(name);
    this.nodes.membersAre(Object.fromEntries(names.map((name) => [name, 'faulty'])));
  }

  backend(name: string): Backend {
    return this.#backends.get(name) as Backend;
  }

  /** Shards of which a new client of the node is not let in within 5 s. */
  shut(name: string): Set<number> {
    const core = this.#cores.get(name) as NodeCore;
    const clients = Array.from({ length: 200 }, (_, n) => {
      const clientId = `client-${n}`;
      return { clientId, socket: this.nodes.connect(core, { clientId }) };
    });
    assert.equal(new Set(clients.map(({ clientId }) => shardOf(clientId, SHARDS))).size, SHARDS);
    this.nodes.advance(5000);
    const waiting = clients.filter(({ socket }) => socket.take().length === 0);
    return new Set(waiting.map(({ clientId }) => shardOf(clientId, SHARDS)));
  }

  /** What a node answers; the answers of the others take no time, and those that hang are waited for. */
  async status(name: string): Promise<ClusterStatus> {
    const asked = this.backend(name).clusterStatus();
    this.nodes.advance(3100);
    return asked;
  }
}

function backendOf(core: NodeCore): Backend {
  const nothing = async () => {};
  const keyring = (): never => assert.fail('not asked for');
  const forceLeave = async () => false;
  const membership = { join: nothing, leave: () => {}, forceLeave, reportEnd: () => {}, keyring };
  return new Backend(core, { dataDir: '', ...membership });
}

const SHARDS = 16;
const FIVE = ['n1', 'n2', 'n3', 'n4', 'n5'];

describe('what is paused', () => {
  it('is nothing while all is well', async () => {
    const cluster = new Cluster(FIVE);
    for (const name of FIVE) {
      const { paused, silent } = await cluster.status(name);
      assert.deepEqual([paused, silent], [[], []]);
      const counters = cluster.backend(name).counters();
      assert.deepEqual([counters.publishesPaused, counters.shardsUnled], [0, 0]);
      assert.ok(counters.grantAgeMs <= 200, `${counters.grantAgeMs}`);
    }
  });

  it('is nothing either with one of three nodes killed, which is named as silent', async () => {
    const cluster = new Cluster(['n1', 'n2', 'n3']);
    cluster.kill('n3');
    cluster.nodes.advance(3000);
    for (const name of ['n1', 'n2']) {
      const { paused, silent } = await cluster.status(name);
      assert.deepEqual(paused, []);
      assert.deepEqual(silent, [{ name: 'n3', state: 'faulty' }]);
      const { reasons } = cluster.backend(name).readiness();
      assert.ok(reasons.every(({ reason }) => reason === 'under-replicated'));
    }
  });

  it('is shards of which two of five nodes had copies: how many, since when, for whom, and the way out', async () => {
    const cluster = new Cluster(FIVE);
    const killedMs = cluster.nodes.nowMs;
    cluster.kill('n4', 'n5');
    cluster.nodes.advance(20_000);
    const { paused, silent } = await cluster.status('n1');
    assert.deepEqual(
      paused.map(({ node, what }) => `${node} ${what}`),
      ['n1 shards', 'n2 shards', 'n3 shards'],
    );
    assert.deepEqual(
      silent.map(({ name }) => name),
      ['n4', 'n5'],
    );
    const [first] = paused;
    for (const { node, shards, forMs, missing, message, remedy } of paused) {
      assert.equal(shards, first?.shards, 'all of them tell of the same shards');
      assert.ok(shards > 0 && shards < 16);
      assert.ok(forMs >= 20_000 && forMs < 25_000, `${forMs}`);
      assert.deepEqual(missing, [
        { name: 'n4', state: 'faulty', otherFolder: false },
        { name: 'n5', state: 'faulty', otherFolder: false },
      ]);
      assert.match(message, new RegExp(`^Sessions and messages of ${shards} of 16 shards wait`));
      assert.match(remedy, /^Start n4 and n5 again, with their data folders/);
      const { shardsUnled } = cluster.backend(node).counters();
      assert.equal(shardsUnled, shards);
    }
    const late = Date.parse(first?.since ?? '') - killedMs;
    assert.ok(Math.abs(late) <= 200, `${first?.since}`);
    assert.equal(cluster.shut('n1').size, first?.shards, 'others are served');
  });

  it('is every shard where one of three nodes is left, also of those that it led', async () => {
    const cluster = new Cluster(['n1', 'n2', 'n3']);
    cluster.kill('n1', 'n2');
    cluster.nodes.advance(5000);
    const { paused } = await cluster.status('n3');
    assert.deepEqual(
      paused.map(({ node, what, shards }) => [node, what, shards]),
      [['n3', 'shards', 16]],
    );
    assert.equal(cluster.shut('n3').size, 16);
  });

  it('ends with the return of one of the two', async () => {
    const cluster = new Cluster(FIVE);
    cluster.kill('n4', 'n5');
    cluster.nodes.advance(5000);
    assert.equal((await cluster.status('n1')).paused.length, 3);
    cluster.add('n4');
    cluster.nodes.membersAre({ n5: 'faulty' });
    cluster.nodes.advance(10_000);
    const { paused, silent } = await cluster.status('n1');
    assert.deepEqual([paused, silent.map(({ name }) => name)], [[], ['n5']]);
  });

  it('is all publishes of the nodes without a link to a member that is alive, as each of them says', async () => {
    const cluster = new Cluster(FIVE);
    for (const name of ['n1', 'n2', 'n3', 'n5']) cluster.nodes.cut(name, 'n4');
    cluster.nodes.advance(8000);
    const { paused, silent } = await cluster.status('n2');
    assert.deepEqual(silent, [{ name: 'n4', state: 'alive' }]);
    const publishes = paused.filter(({ what }) => what === 'publishes');
    assert.deepEqual(
      publishes.map(({ node }) => node),
      ['n1', 'n2', 'n3', 'n5'],
    );
    for (const { missing, forMs, message, remedy } of publishes) {
      assert.deepEqual(missing, [{ name: 'n4', state: 'alive', otherFolder: false }]);
      assert.ok(forMs > 5000, `${forMs}`);
      assert.match(message, /^All QoS 1 and 2 publishes wait.*no word from n4 \(alive\)/);
      assert.match(remedy, /n4:7700/);
    }
    const { publishesPaused, publishesPausedMs, grantAgeMs } = cluster.backend('n1').counters();
    assert.equal(publishesPaused, 1);
    assert.ok(publishesPausedMs > 5000 && publishesPausedMs < 12_000, `${publishesPausedMs}`);
    assert.ok(grantAgeMs > publishesPausedMs, 'the grant was 2 s old when they began to wait');
  });

  it('is counted no further, and told no more, once the member is heard again', async () => {
    const cluster = new Cluster(['n1', 'n2', 'n3']);
    cluster.nodes.cut('n1', 'n3');
    cluster.nodes.cut('n2', 'n3');
    cluster.nodes.advance(6000);
    cluster.nodes.link('n1', 'n3');
    cluster.nodes.link('n2', 'n3');
    cluster.nodes.advance(5000);
    const { publishesPausedMs } = cluster.backend('n1').counters();
    assert.ok(publishesPausedMs > 3000);
    assert.deepEqual((await cluster.status('n1')).paused, []);
    const later = cluster.backend('n1').counters();
    assert.deepEqual([later.publishesPaused, later.publishesPausedMs], [0, publishesPausedMs]);
  });

  it('blames nobody when a node wakes that stood still itself', async () => {
    const cluster = new Cluster(['n1', 'n2', 'n3']);
    cluster.nodes.hang('n1');
    cluster.nodes.advance(20_000);
    const blamed = () =>
      cluster
        .backend('n1')
        .readiness()
        .reasons.filter(({ reason }) => reason === 'shards-wait');
    // Its clock went on; of what came meanwhile nothing has been read.
    assert.deepEqual(blamed(), []);
    cluster.nodes.wake('n1');
    for (const name of ['n2', 'n3']) {
      cluster.nodes.cut('n1', name);
      assert.deepEqual(blamed(), []);
      cluster.nodes.link('n1', name);
    }
    for (let looks = 0; looks < 20; looks++) {
      cluster.nodes.advance(200);
      assert.deepEqual(blamed(), []);
    }
  });
});
