import assert from 'node:assert/strict';
import { once } from 'node:events';
import type {
  ClusterStatus,
  ReadinessReport,
  RemovalPlan,
  RemovalProgress,
} from '../../src/index.ts';
import { TestClient, TestCluster } from './cluster.ts';

const SHARDS = 16;

/**
 * Until the node sees so many live members, each with copies, and every shard with as many as are
 * wanted: two nodes alone can have given every shard its two copies before the third one came.
 */
function untilWhole(cluster: TestCluster, name: string, nodes: number): Promise<ClusterStatus> {
  return cluster.until<ClusterStatus>(name, '/api/v1/cluster', ({ members, underReplicated }) => {
    const held = members.reduce((sum, { shardsHeld }) => sum + shardsHeld, 0);
    const alive = members.filter(({ state, mqtt }) => state === 'alive' && mqtt !== '');
    const placed = alive.length === nodes && alive.every(({ shardsHeld }) => shardsHeld > 0);
    return placed && underReplicated.count === 0 && held === SHARDS * 2;
  });
}

describe('a dead node is removed by force', function () {
  this.timeout(30_000);
  const cluster = new TestCluster(2);

  const status = (name: string, wanted: (status: ClusterStatus) => boolean) =>
    cluster.until<ClusterStatus>(name, '/api/v1/cluster', wanted);
  const stateOf = ({ members }: ClusterStatus, name: string) =>
    members.find((member) => member.name === name)?.state;
  const whole = (name: string, nodes: number) => untilWhole(cluster, name, nodes);

  before(async () => {
    for (const name of ['n1', 'n2', 'n3']) await cluster.start(name);
    await whole('n1', 3);
    const client = await TestClient.connect(cluster.nodes.get('n1')!, 'sam');
    await client.subscribe('t');
    await client.close();
  });

  after(() => cluster.stop());

  it('is refused without force, with the reason and the remedy', async () => {
    const n3 = cluster.nodes.get('n3')!;
    await n3.running.stop();
    cluster.nodes.delete('n3');
    await status('n1', (body) => stateOf(body, 'n3') === 'stopped');
    // Dead it is once membership has found it so.
    const why = 'n3 is dead';
    for (let refusal = ''; !refusal.includes(why); ) {
      const path = '/api/v1/nodes/n3?dryRun=true';
      refusal = (await cluster.ask<RemovalPlan>('n1', path, 'DELETE')).body.refusal ?? '';
      if (refusal.includes(why)) assert.match(refusal, /--force/);
    }
    const refused = await cluster.ask('n1', '/api/v1/nodes/n3', 'DELETE');
    assert.deepEqual([refused.status, refused.body.code], [502, 'BROKER_ERR_NODE_UNREACHABLE']);
    assert.match(refused.body.message, /n3 is dead.*--force/);
    const { body } = await cluster.ask<ClusterStatus>('n1', '/api/v1/cluster');
    assert.equal(stateOf(body, 'n3'), 'stopped');
  });

  it('gives its copies and votes to others at once, and says so everywhere', async () => {
    const path = '/api/v1/nodes/n3';
    const begun = await cluster.ask<RemovalProgress>('n1', `${path}?force=true`, 'DELETE');
    assert.equal(begun.status, 202);
    assert.ok(begun.body.shardsTotal > 0);
    for (const name of ['n1', 'n2']) {
      await status(name, (body) => stateOf(body, 'n3') === 'left');
      const gone = ({ state }: RemovalProgress) => state === 'gone';
      const end = await cluster.until<RemovalProgress>(name, `${path}/removal`, gone);
      assert.deepEqual([end.shardsDone, end.remainingMs], [end.shardsTotal, 0]);
      // The CLOSE of its client may have been on its way to the node that went.
      await status(name, ({ sessions }) => sessions.connected === 0);
      const { members, sessions } = await whole(name, 2);
      assert.deepEqual([members[2]?.name, members[2]?.shardsHeld], ['n3', 0]);
      assert.deepEqual(sessions, { total: 1, connected: 0, atRisk: 0 });
    }
    const again = await cluster.ask('n2', `${path}?force=true`, 'DELETE');
    assert.deepEqual([again.status, again.body.code], [404, 'BROKER_ERR_NODE_UNKNOWN']);
  });

  it('lets it come back with its old folder, as a member like any other', async () => {
    await cluster.start('n3');
    for (const name of ['n1', 'n2', 'n3']) {
      await status(name, ({ members }) => (members[2]?.shardsHeld ?? 0) > 0);
      const { members, sessions } = await whole(name, 3);
      assert.ok(members.every(({ state }) => state === 'alive'));
      assert.equal(sessions.total, 1);
    }
    const none = await cluster.ask('n1', '/api/v1/nodes/n3/removal');
    assert.deepEqual([none.status, none.body.code], [404, 'BROKER_ERR_REMOVAL_UNKNOWN']);
  });
});

describe('a node that is removed sends its clients elsewhere', function () {
  this.timeout(30_000);
  const cluster = new TestCluster(2);

  before(async () => {
    for (const name of ['n1', 'n2', 'n3']) await cluster.start(name);
    for (const name of ['n1', 'n2', 'n3']) await untilWhole(cluster, name, 3);
  });

  after(() => cluster.stop());

  it('with a Server Reference in MQTT 5, and refuses new ones; 3.1.1 is closed', async () => {
    const n3 = cluster.nodes.get('n3')!;
    const others = ['n1', 'n2'].map((name) => cluster.nodes.get(name)!.mqtt);
    const modern = await Promise.all(['a', 'b'].map((id) => TestClient.connect(n3, id)));
    const farewells = modern.map((client) => client.farewell());
    const { client: old, connack } = await TestClient.dial(n3, 'old', 4);
    assert.equal(connack.returnCode, 0);
    const closed = once(old, 'closed');

    const { status, body } = await cluster.ask('n1', '/api/v1/nodes/n3', 'DELETE');
    assert.equal(status, 202, body.message);
    const ready = await cluster.ask<ReadinessReport>('n3', '/ready');
    assert.equal(ready.status, 503);
    assert.ok(ready.body.reasons.some(({ reason }) => reason === 'leaving'));
    const late = await TestClient.dial(n3, 'late', 5);
    const { reasonCode, properties } = late.connack;
    assert.equal(reasonCode, 0x9d);
    assert.deepEqual(properties?.serverReference?.split(' ').sort(), [...others].sort());
    assert.equal((await TestClient.dial(n3, 'late', 4)).connack.returnCode, 3);

    const first = new Set<string>();
    for (const { reasonCode, properties } of await Promise.all(farewells)) {
      assert.equal(reasonCode, 0x9d);
      const addresses = properties?.serverReference?.split(' ') ?? [];
      assert.deepEqual([...addresses].sort(), [...others].sort());
      first.add(addresses[0] ?? '');
    }
    assert.deepEqual(first, new Set(others));
    await closed;
    await n3.left;
    cluster.nodes.delete('n3');
    const back = await TestClient.dial(cluster.nodes.get('n1')!, 'a', 5);
    assert.deepEqual([back.connack.reasonCode, back.connack.sessionPresent], [0, true]);
    await back.client.close();
  });
});
