import assert from 'node:assert/strict';
import type {
  AddedNode,
  ClusterStatus,
  ReadinessReport,
  RemovalPlan,
  RemovalProgress,
  SessionDetail,
  SessionExplanation,
  SessionPage,
} from '../../src/index.ts';
import { TestClient, TestCluster } from './cluster.ts';

const SHARDS = 16;
const CLIENTS = ['a', 'b', 'c', 'd/1', 'ü e'];

const session = (id: string) => `/api/v1/sessions/${encodeURIComponent(id)}`;

describe('the admin backend of three nodes with two copies of each shard', function () {
  this.timeout(30_000);
  const cluster = new TestCluster(2);
  const clients = new Map<string, TestClient>();

  /** Status once everything is in its place: copies that are not wanted any more go last. */
  const whole = (name: string, nodes: number) =>
    cluster.until<ClusterStatus>(name, '/api/v1/cluster', ({ members, underReplicated }) => {
      const held = members.reduce((sum, { shardsHeld }) => sum + shardsHeld, 0);
      const alive = members.filter(({ state }) => state === 'alive');
      // A node that has just joined holds nothing yet, though all copies are there.
      const placed = alive.length === nodes && alive.every(({ shardsHeld }) => shardsHeld > 0);
      return placed && underReplicated.count === 0 && held === SHARDS * Math.min(2, nodes);
    });

  before(async () => {
    for (const name of ['n1', 'n2', 'n3']) await cluster.start(name);
    for (const [k, id] of CLIENTS.entries()) {
      const client = await TestClient.connect(cluster.nodes.get(`n${1 + (k % 2)}`)!, id);
      await client.subscribe(`t/${k}`);
      clients.set(id, client);
    }
    await clients.get('c')?.close();
  });

  after(() => cluster.stop());

  it('tells the same status everywhere once all copies are in place', async () => {
    for (const name of ['n1', 'n2', 'n3']) {
      const status = await whole(name, 3);
      assert.equal(status.node, name);
      assert.deepEqual(
        status.members.map((m) => m.name),
        ['n1', 'n2', 'n3'],
      );
      const sum = (of: (m: (typeof status.members)[number]) => number) =>
        status.members.reduce((total, m) => total + of(m), 0);
      assert.equal(
        sum((m) => m.shardsLed),
        SHARDS,
      );
      assert.deepEqual(status.sessions, { total: CLIENTS.length, connected: 4, atRisk: 0 });
      const { body } = await cluster.ask<ReadinessReport>(name, '/ready?replicated=true');
      assert.deepEqual(body, { ready: true, reasons: [] });
    }
  });

  it('lists the sessions of all nodes by pages, in one order', async () => {
    for (const name of ['n1', 'n2', 'n3']) {
      const seen: string[] = [];
      let cursor = '';
      do {
        const path = `/api/v1/sessions?limit=2${cursor && `&cursor=${cursor}`}`;
        const { body } = await cluster.ask<SessionPage>(name, path);
        seen.push(...body.sessions.map(({ clientId }) => clientId));
        cursor = body.nextCursor ?? '';
      } while (cursor !== '');
      assert.deepEqual(seen, CLIENTS);
    }
    const { status, body } = await cluster.ask('n1', '/api/v1/sessions?cursor=~');
    assert.deepEqual([status, body.code], [400, 'BROKER_ERR_REQUEST_INVALID']);
  });

  it('shows a session from any node, with the address of its client', async () => {
    for (const name of ['n1', 'n2', 'n3']) {
      const { body } = await cluster.ask<SessionDetail>(name, session('b'));
      assert.equal(body.owners.length, 2);
      assert.equal(body.owners[0], body.leader);
      assert.equal(body.connection?.node, 'n2');
      assert.match(body.connection?.remote ?? '', /^127\.0\.0\.1:\d+$/);
      assert.deepEqual(body.subscriptions, [
        {
          filter: 't/1',
          qos: 1,
          noLocal: false,
          retainAsPublished: false,
          subscriptionIdentifier: null,
        },
      ]);
      assert.deepEqual(body.expiry, { intervalSeconds: 3600, remainingSeconds: null });
      assert.equal((await cluster.ask<SessionDetail>(name, session('c'))).body.connection, null);
    }
  });

  it('explains where a session is, and where one would be', async () => {
    const { body } = await cluster.ask<SessionExplanation>('n3', `${session('b')}/explain`);
    assert.equal(body.exists, true);
    assert.equal(body.leader, body.preferenceList[0]);
    assert.deepEqual(
      body.copies.map(({ role, lagEntries }) => [role, lagEntries]),
      [
        ['leader', 0],
        ['active', 0],
        ['voter', null],
      ],
    );
    assert.ok(body.why.some((sentence) => sentence.includes('connected to n2')));
    const absent = await cluster.ask<SessionExplanation>('n1', `${session('no one')}/explain`);
    assert.equal(absent.body.exists, false);
    assert.match(absent.body.why.at(-1) ?? '', /no such session/);
  });

  it('kicks a connection with Administrative action; the session stays', async () => {
    const ended = clients.get('a')!.ended();
    assert.equal((await cluster.ask('n3', `${session('a')}/kick`, 'POST')).status, 204);
    assert.equal(await ended, 0x98);
    assert.equal((await cluster.ask('n2', session('a'))).status, 200);
    const away = await cluster.ask('n1', `${session('c')}/kick`, 'POST');
    assert.deepEqual([away.status, away.body.code], [409, 'BROKER_ERR_SESSION_NOT_CONNECTED']);
    const absent = await cluster.ask('n1', `${session('no one')}/kick`, 'POST');
    assert.deepEqual([absent.status, absent.body.code], [404, 'BROKER_ERR_SESSION_UNKNOWN']);
  });

  it('deletes a session with its connection, everywhere', async () => {
    const ended = clients.get('d/1')!.ended();
    assert.equal((await cluster.ask('n3', session('d/1'), 'DELETE')).status, 204);
    assert.equal(await ended, 0x98);
    for (const name of ['n1', 'n2', 'n3']) {
      const { status, body } = await cluster.ask(name, session('d/1'));
      assert.deepEqual([status, body.code], [404, 'BROKER_ERR_SESSION_UNKNOWN']);
    }
    const again = await cluster.ask('n1', session('d/1'), 'DELETE');
    assert.deepEqual([again.status, again.body.code], [404, 'BROKER_ERR_SESSION_UNKNOWN']);
  });

  it('brings the gauges up to date at each scrape', async () => {
    const url = (name: string) => `http://${cluster.nodes.get(name)!.admin}/metrics`;
    let sessions = 0;
    for (const name of ['n1', 'n2', 'n3']) {
      const text = await (await fetch(url(name))).text();
      sessions += Number(/^shoal_sessions\{.*\} (\d+)$/m.exec(text)?.[1]);
      assert.match(text, /^shoal_ready\{.*\} 1$/m);
    }
    assert.equal(sessions, CLIENTS.length - 1);
  });

  it('adds nodes by address, and says why it cannot', async () => {
    const add = async (address: string) => {
      const response = await fetch(`http://${cluster.nodes.get('n1')!.admin}/api/v1/nodes`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ address }),
      });
      return { status: response.status, body: (await response.json()) as AddedNode };
    };
    const { cluster: address } = cluster.nodes.get('n2')!;
    assert.deepEqual(await add(address), { status: 201, body: { name: 'n2', address } });
    const own = await add(cluster.nodes.get('n1')!.cluster);
    assert.equal(own.status, 400);
    // MQTT is spoken there, and no membership.
    assert.equal((await add(cluster.nodes.get('n2')!.mqtt)).status, 502);
  });

  it('plans a removal and changes nothing', async () => {
    const { body } = await cluster.ask<RemovalPlan>('n1', '/api/v1/nodes/n3?dryRun=true', 'DELETE');
    assert.equal(body.node, 'n3');
    assert.ok(body.shardsHeld > 0 && body.shardsHeld < SHARDS);
    assert.ok(body.shardsLed <= body.shardsHeld);
    assert.equal((await whole('n1', 3)).members[2]?.leaving, false);
    assert.ok(body.bytes > 0);
    assert.deepEqual(
      [body.replicas, body.replicasAfter, body.breaksReplicas, body.refusal],
      [2, 2, false, ''],
    );
    const absent = await cluster.ask('n1', '/api/v1/nodes/n9?dryRun=true', 'DELETE');
    assert.deepEqual([absent.status, absent.body.code], [404, 'BROKER_ERR_NODE_UNKNOWN']);
    const none = await cluster.ask('n1', '/api/v1/nodes/n3/removal');
    assert.deepEqual([none.status, none.body.code], [404, 'BROKER_ERR_REMOVAL_UNKNOWN']);
  });

  it('removes a node: it drains, leaves and ends, and nothing is lost', async () => {
    const begun = await cluster.ask<RemovalProgress>('n1', '/api/v1/nodes/n3', 'DELETE');
    assert.deepEqual([begun.status, begun.body.state], [202, 'draining']);
    // Asked of another node meanwhile, or of the same again, it is the same removal.
    const again = await cluster.ask<RemovalProgress>('n2', '/api/v1/nodes/n3', 'DELETE');
    assert.equal(again.body.shardsTotal, begun.body.shardsTotal);
    await cluster.nodes.get('n3')!.left;
    cluster.nodes.delete('n3');
    for (const name of ['n1', 'n2']) {
      const end = await cluster.until<RemovalProgress>(
        name,
        '/api/v1/nodes/n3/removal',
        ({ state }) => state === 'gone',
      );
      assert.equal(end.shardsDone, end.shardsTotal);
      assert.equal(end.remainingMs, 0);
      const { sessions, members } = await whole(name, 2);
      assert.equal(sessions.total, CLIENTS.length - 1);
      assert.equal(members[2]?.shardsHeld, 0);
    }
    const gone = await cluster.ask('n1', '/api/v1/nodes/n3', 'DELETE');
    assert.deepEqual([gone.status, gone.body.code], [404, 'BROKER_ERR_NODE_UNKNOWN']);
  });

  it('refuses a removal that leaves too few copies, unless forced, and that of the last', async () => {
    const plan = await cluster.ask<RemovalPlan>('n1', '/api/v1/nodes/n2?dryRun=true', 'DELETE');
    assert.equal(plan.body.breaksReplicas, true);
    assert.equal(plan.body.bytes, 0);
    const refused = await cluster.ask('n1', '/api/v1/nodes/n2', 'DELETE');
    assert.deepEqual(
      [refused.status, refused.body.code],
      [409, 'BROKER_ERR_NODE_WOULD_BREAK_REPLICAS'],
    );
    // A node may be asked to remove itself, which ends its clients' connections.
    const ended = clients.get('b')!.ended();
    const forced = await cluster.ask('n2', '/api/v1/nodes/n2?force=true', 'DELETE');
    assert.equal(forced.status, 202);
    assert.equal(await ended, 0x9d);
    await cluster.nodes.get('n2')!.left;
    cluster.nodes.delete('n2');
    const { sessions } = await whole('n1', 1);
    assert.equal(sessions.total, CLIENTS.length - 1);
    const last = await cluster.ask('n1', '/api/v1/nodes/n1?force=true', 'DELETE');
    assert.deepEqual([last.status, last.body.code], [409, 'BROKER_ERR_NODE_LAST']);
  });
});
