import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { type AdminApi, BrokerMetrics, createCounters, startAdminApi } from '@shoal/broker';
import { FakeBackend } from '../../../broker/test/admin/fake-backend.ts';
import { shoal } from './shoal.ts';

describe('shoal, against a node', function () {
  this.timeout(60_000);
  let backend: FakeBackend;
  let api: AdminApi;
  let admin: string;

  beforeEach(async () => {
    backend = new FakeBackend();
    const metrics = new BrokerMetrics(createCounters, 'n1');
    api = await startAdminApi({ listen: '127.0.0.1:0', backend, metrics });
    admin = `http://${api.address}`;
  });
  afterEach(() => api.close());

  const run = (...args: string[]) => shoal([...args, '--admin', admin]);
  const json = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(...args, '--json');
    assert.deepEqual([code, stderr], [0, '']);
    assert.equal(stdout.trimEnd().split('\n').length, 1, 'JSON is one line');
    return JSON.parse(stdout);
  };

  it('cluster status: a table for people, with what is at risk', async () => {
    const { code, stdout } = await run('cluster', 'status');
    assert.equal(code, 0);
    assert.match(stdout, /n1 \(asked\)\s+alive\s+512\s+1,024/);
    assert.match(stdout, /n2\s+alive, unwell\s+512/);
    assert.match(stdout, /n3\s+faulty\s+0/);
    assert.match(stdout, /n4\s+alive, out of view\s+512/);
    assert.match(stdout, /n2 is configured with cluster\.replicas 1; the cluster has 3\./);
    assert.match(stdout, /12 sessions, 4 connected, 1 at risk/);
    assert.match(
      stdout,
      /Under-replicated: 3 shards: 7 \(2 of 3, led by n1\), 9 \(0 of 3, no leader\), 12 \(3 of 3, voters to change, led by n2\)/,
    );
  });

  it('cluster status: first what is paused, since when, why and what to do, once for nodes that say the same', async () => {
    assert.match((await run('cluster', 'status')).stdout, /^Cluster c0ffee/);
    const shards = {
      what: 'shards',
      since: '2026-11-30T03:12:07.250Z',
      forMs: 252_000,
      shards: 820,
      missing: [{ name: 'n4', state: 'faulty', otherFolder: false }],
      message: 'Sessions of 820 shards wait.',
      remedy: 'Start n4 again.',
    } as const;
    const publishes = {
      ...shards,
      what: 'publishes',
      shards: 0,
      message: 'No word from n5.',
    } as const;
    backend.paused = [
      { node: 'n1', ...publishes },
      { node: 'n1', ...shards },
      { node: 'n2', ...shards, forMs: 251_000 },
    ];
    backend.silent = [
      { name: 'n3', state: 'faulty' },
      { name: 'n4', state: 'faulty' },
      { name: 'n5', state: 'alive' },
      { name: 'n6', state: 'stopped' },
    ];
    const { stdout } = await run('cluster', 'status');
    assert.deepEqual(stdout.split('\n').slice(0, 12), [
      'PAUSED at n1 for 4 min 12 s: No word from n5.',
      '  To do: Start n4 again.',
      '  Since 2026-11-30 03:12:07 UTC.',
      'PAUSED at n1, n2 for 4 min 12 s: Sessions of 820 shards wait.',
      '  To do: Start n4 again.',
      '  Since 2026-11-30 03:12:07 UTC.',
      'n3 (faulty) does not answer: what waits there is not known.',
      '  To do: Start it again, or restart it if it hangs; if its machine is gone for good: shoal node remove n3 --force.',
      'n5 (alive) does not answer: what waits there is not known.',
      '  To do: Check its host and the network to it; restart it if it hangs.',
      '',
      'Cluster c0ffee: 1,024 shards, 3 copies of each, durability disk, consistent.',
    ]);
    const { paused, silent } = await json('cluster', 'status');
    assert.deepEqual([paused, silent], [backend.paused, backend.silent]);
  });

  it('cluster status --json: what the API answers', async () => {
    const plain = JSON.parse(JSON.stringify(await backend.clusterStatus()));
    assert.deepEqual(await json('cluster', 'status'), plain);
  });

  it('takes the admin address from SHOAL_ADMIN, and without http://', async () => {
    const { code } = await shoal(['cluster', 'status', '--json'], { SHOAL_ADMIN: api.address });
    assert.equal(code, 0);
  });

  it('node add', async () => {
    assert.deepEqual(await json('node', 'add', '127.0.0.1:7704'), {
      name: 'n4',
      address: '127.0.0.1:7704',
    });
    const { code, stderr } = await run('node', 'add', '127.0.0.1:1');
    assert.equal(code, 47);
    assert.match(stderr, /does not answer: 127\.0\.0\.1:1\n.*\[BROKER_ERR_NODE_UNREACHABLE\]/);
  });

  it('node remove --dry-run: bytes, time and whether copies would be missing', async () => {
    const ahead = await run('node', 'remove', 'n2', '--dry-run');
    assert.match(ahead.stdout, /copy 118 MiB to other nodes, in about 1 min 1 s/);
    assert.match(ahead.stdout, /3 of 3 copies/);
    assert.match(ahead.stdout, /would go ahead/);
    const refused = await run('node', 'remove', 'n1', '--dry-run');
    assert.match(refused.stdout, /refused without --force: 2 hosts would remain for 3 copies/);
    assert.equal((await json('node', 'remove', 'n2', '--dry-run')).bytes, 123_456_789);
    assert.ok(backend.calls.every((call) => !call.startsWith('removeNode')));
  });

  it('node ended: says so of a node that is known, and of one life', async () => {
    assert.deepEqual(await json('node', 'ended', 'n2', '--boot-epoch', '7'), { node: 'n2' });
    assert.ok(backend.calls.includes('reportEnd n2 7'));
    assert.match((await run('node', 'ended', 'n2')).stdout, /Told the others that n2 has ended/);
    assert.equal((await run('node', 'ended', 'nobody')).code, 44);
    assert.equal((await run('node', 'ended', 'n2', '--boot-epoch', '-1')).code, 2);
  });

  it('node remove: refuses with the reason, unless forced', async () => {
    const refused = await run('node', 'remove', 'n1');
    assert.equal(refused.code, 46);
    assert.match(refused.stderr, /fewer copies.*2 hosts for 3 copies\n.*--force/);
    const forced = await json('node', 'remove', 'n1', '--force');
    assert.equal(forced.state, 'draining');
    assert.equal((await run('node', 'remove', 'nobody')).code, 44);
  });

  it('node remove --wait: shows the progress until the node is gone', async () => {
    const { code, stdout, stderr } = await run('node', 'remove', 'n2', '--wait');
    assert.equal(code, 0);
    assert.match(stdout, /n2 is gone\./);
    assert.match(stderr, /n2: 0%, 0\/10 shards/);
    assert.match(stderr, /n2: 100%, 10\/10 shards, 1000 B of 1000 B/);
  });

  it('node remove --wait: asks another member once the asked one has left', async () => {
    const other = new FakeBackend();
    const metrics = new BrokerMetrics(createCounters, 'n2');
    const second = await startAdminApi({ listen: '127.0.0.1:0', backend: other, metrics });
    const status = await backend.clusterStatus();
    const members = status.members
      .filter(({ name }) => name !== 'n3')
      .map((member) => (member.name === 'n2' ? { ...member, admin: second.address } : member));
    backend.clusterStatus = async () => ({ ...status, members });
    other.clusterStatus = async () => ({
      ...status,
      node: 'n2',
      members: members.map((member) =>
        member.name === 'n1' ? { ...member, state: 'left' as const } : member,
      ),
    });
    backend.removalStepBytes = 0;
    let polls = 0;
    const progress = backend.removalProgress.bind(backend);
    backend.removalProgress = async (name) => {
      polls++;
      const answer = await progress(name);
      // It goes right after this answer.
      setImmediate(() => void api.close());
      return answer;
    };
    const { code, stdout } = await run('node', 'remove', 'n1', '--force', '--wait', '--json');
    assert.equal(code, 0);
    assert.equal(JSON.parse(stdout).state, 'gone');
    assert.equal(polls, 1);
    await second.close();
  });

  it('session list: every page, bounded by --limit', async () => {
    backend.sessionCount = 1201;
    const all = await json('session', 'list', '--limit', '5000');
    assert.equal(all.sessions.length, 1201);
    assert.equal(all.truncated, false);
    const some = await json('session', 'list', '--limit', '700');
    assert.equal(some.sessions.length, 700);
    assert.equal(some.truncated, true);
    const { stdout } = await run('session', 'list', '--limit', '2');
    assert.match(stdout, /client-0\s+n2\s+n1\s+42\s+5\s+1\s+2/);
    assert.match(stdout, /and more/);
  });

  it('session show', async () => {
    const { stdout } = await run('session', 'show', 'sensor/17');
    assert.match(stdout, /Connection\s+at n2 from 127\.0\.0\.1:50000, MQTT 5\.0/);
    assert.match(stdout, /Queued\s+17 messages of at most 100000/);
    assert.match(stdout, /a\/\+\s+2\s+Retain As Published, identifier 7/);
    assert.equal((await json('session', 'show', '..')).clientId, '..');
    assert.equal((await run('session', 'show', 'absent')).code, 60);
    const dashed = await shoal(['session', 'show', '--admin', admin, '--', '-odd-']);
    assert.match(dashed.stdout, /-odd-/);
  });

  it('session show: a Client Identifier cannot write to the terminal', async () => {
    const { stdout } = await run('session', 'show', 'a\u001b[2Jb');
    assert.match(stdout, /a\\u001b\[2Jb/);
    assert.ok(!stdout.includes('\u001b'));
  });

  it('session explain', async () => {
    const { stdout } = await run('session', 'explain', 'absent');
    assert.match(stdout, /absent \(no session\)/);
    assert.match(stdout, /Leader\s+n1/);
    assert.match(stdout, /n2\s+active\s+alive\s+88\s+2/);
    assert.match(stdout, /n3\s+voter\s+faulty\s+\?\s+\?/);
    assert.match(stdout, /placement prefers it/);
    assert.equal((await json('session', 'explain', 'x')).leader, 'n1');
  });

  it('shard recover', async () => {
    const { stdout } = await run('shard', 'recover');
    assert.match(stdout, /shard 3: discard: entries 4 to 9\nNothing was changed/);
    assert.equal((await json('shard', 'recover', '--accept-loss')).done, true);
    assert.deepEqual(backend.calls, ['recoverShards false', 'recoverShards true']);
  });

  it('client list: every page, bounded by --limit, and who did not answer', async () => {
    backend.sessionCount = 1201;
    const all = await json('client', 'list', '--limit', '5000');
    assert.deepEqual([all.clients.length, all.truncated, all.silent], [1201, false, ['n3']]);
    const some = await json('client', 'list', '--limit', '700');
    assert.deepEqual([some.clients.length, some.truncated], [700, true]);
    const { stdout } = await run('client', 'list', '--limit', '2');
    assert.match(
      stdout,
      /client-0 +n2 +tls-1 +127\.0\.0\.1:50000 +5\.0 +2026-11-30T11:00:00Z +12 +34 +2 +7 +3/,
    );
    assert.match(stdout, /and more/);
    assert.match(stdout, /Without the clients of n3: no answer/);
  });

  it('client show and kick', async () => {
    const { stdout } = await run('client', 'show', 'sensor/17');
    assert.match(stdout, /Connection +at n2, listener tls-1, from 127\.0\.0\.1:50000/);
    assert.match(stdout, /Protocol +MQTT 5\.0, Keep Alive 60 s/);
    assert.match(stdout, /Certificate +CN=dev-1,O=Example/);
    assert.match(stdout, /Received +12 packets, 1\.5 KiB; 3 not answered/);
    assert.match(stdout, /In flight +2 messages of at most 20, 7 waiting/);
    assert.match(stdout, /Last error +none/);
    const away = await run('client', 'show', 'away');
    assert.match(away.stdout, /Connection +none/);
    assert.match(away.stdout, /Last error +Keep Alive timeout: keep alive elapsed, at n2, 2026/);
    assert.equal((await json('client', 'show', '..')).clientId, '..');
    assert.equal((await run('client', 'show', 'absent')).code, 63);
    assert.deepEqual(await json('client', 'kick', 'c'), { clientId: 'c', kicked: true });
    assert.equal((await run('client', 'kick', 'away')).code, 61);
  });

  it('share list and show', async () => {
    const listed = await run('share', 'list');
    assert.match(listed.stdout, /workers +jobs\/# +round-robin +2 +1 +22/);
    assert.equal((await json('share', 'list')).shares.length, 1);
    const shown = await run('share', 'show', '$share/workers/jobs/#');
    assert.match(shown.stdout, /Members +2 online, 1 offline/);
    assert.match(shown.stdout, /w2 +n3 +1 +stored +640 +20 +20 \(full\)/);
    assert.match(shown.stdout, /Offline: w3/);
    assert.match(shown.stdout, /one of 2 members online/);
    assert.equal((await run('share', 'show', '$share/x/y')).code, 62);
  });

  it('session kick and delete', async () => {
    assert.deepEqual(await json('session', 'kick', 'c'), { clientId: 'c', kicked: true });
    assert.deepEqual(await json('session', 'delete', 'c'), { clientId: 'c', deleted: true });
    assert.deepEqual(backend.calls, ['kickSession c', 'deleteSession c']);
    assert.equal((await run('session', 'kick', 'away')).code, 61);
    assert.equal((await run('session', 'delete', 'absent')).code, 60);
  });
});

describe('shoal, against something else', function () {
  this.timeout(60_000);

  async function withServer(answer: string, use: (port: number) => Promise<void>): Promise<void> {
    const server: Server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(answer));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    await use((server.address() as AddressInfo).port);
    await new Promise((resolve) => server.close(resolve));
  }

  it('nobody: BROKER_ERR_ADMIN_UNREACHABLE with a remedy, on stderr', async () => {
    const { code, stdout, stderr } = await shoal(['cluster', 'status'], {
      SHOAL_ADMIN: 'http://127.0.0.1:9',
    });
    assert.equal(code, 70);
    assert.equal(stdout, '');
    assert.match(stderr, /127\.0\.0\.1:9 \(ECONNREFUSED\)\n.*--admin URL/);
  });

  it('nobody, --json: the error is one line of JSON on stderr', async () => {
    const { code, stdout, stderr } = await shoal(['cluster', 'status', '--json'], {
      SHOAL_ADMIN: 'http://127.0.0.1:9',
    });
    assert.equal(code, 70);
    assert.equal(stdout, '');
    assert.equal(JSON.parse(stderr).code, 'BROKER_ERR_ADMIN_UNREACHABLE');
  });

  for (const [what, answer] of [
    ['an MQTT broker', '\u0020\u0002\u0000\u0001'],
    ['a web server', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello'],
    ['an API of another kind', 'HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}'],
  ] as const) {
    it(`${what}: BROKER_ERR_ADMIN_PROTOCOL`, async () => {
      await withServer(answer, async (port) => {
        const { code, stderr } = await shoal(['cluster', 'status', '--admin', `127.0.0.1:${port}`]);
        assert.equal(code, 71, stderr);
      });
    });
  }

  it('an address that is none', async () => {
    for (const admin of ['ftp://127.0.0.1:1', 'http://', 'http://127.0.0.1:1/path']) {
      const { code } = await shoal(['cluster', 'status', '--admin', admin]);
      assert.equal(code, 72, admin);
    }
  });
});
