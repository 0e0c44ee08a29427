import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { createCounters } from '../../src/counters.ts';
import { createAdminApp, startAdminApi } from '../../src/edge/admin/admin-api.ts';
import { BrokerMetrics } from '../../src/edge/admin/metrics.ts';
import { BrokerError } from '../../src/errors.ts';
import { FakeBackend } from './fake-backend.ts';

describe('admin API', () => {
  let backend: FakeBackend;
  let app: FastifyInstance;
  const metrics = new BrokerMetrics(createCounters, 'n1');
  const headers = { host: '127.0.0.1:7780' };

  beforeEach(async () => {
    backend = new FakeBackend();
    app = await createAdminApp({ listen: '127.0.0.1:0', backend, metrics, answerTimeoutMs: 5_000 });
  });
  afterEach(() => app.close());

  const get = (url: string) => app.inject({ url, headers });

  it('answers /health whatever the cluster does', async () => {
    backend.ready = { ready: false, reasons: [] };
    const answer = await get('/health');
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.json().node, 'n1');
  });

  it('answers /ready with 503 and reasons until it serves', async () => {
    const reasons = [{ reason: 'not-joined' as const, message: 'no answer from 127.0.0.1:7701' }];
    backend.ready = { ready: false, reasons };
    const waiting = await get('/ready');
    assert.equal(waiting.statusCode, 503);
    assert.deepEqual(waiting.json().reasons, reasons);
    backend.ready = { ready: true, reasons: [] };
    assert.equal((await get('/ready')).statusCode, 200);
  });

  it('answers /ready?replicated=true with 503 while copies are missing', async () => {
    const reasons = [{ reason: 'under-replicated' as const, message: '2 shards' }];
    backend.ready = { ready: true, reasons };
    assert.equal((await get('/ready')).statusCode, 200);
    assert.equal((await get('/ready?replicated=true')).statusCode, 503);
    backend.ready = { ready: true, reasons: [] };
    assert.equal((await get('/ready?replicated=true')).statusCode, 200);
  });

  it('serves metrics as Prometheus text', async () => {
    const answer = await get('/metrics');
    assert.match(String(answer.headers['content-type']), /^text\/plain; version=0\.0\.4/);
    assert.match(answer.body, /^shoal_ready\{node="n1"\} 0$/m);
  });

  it('answers the cluster status', async () => {
    const answer = await get('/api/v1/cluster');
    assert.equal(answer.statusCode, 200);
    assert.deepEqual(answer.json(), JSON.parse(JSON.stringify(await backend.clusterStatus())));
  });

  it('adds a node', async () => {
    const payload = { address: '127.0.0.1:7704' };
    const answer = await app.inject({ method: 'POST', url: '/api/v1/nodes', headers, payload });
    assert.equal(answer.statusCode, 201);
    assert.deepEqual(answer.json(), { name: 'n4', address: '127.0.0.1:7704' });
    const far = { address: '127.0.0.1:1' };
    const failed = await app.inject({
      method: 'POST',
      url: '/api/v1/nodes',
      headers,
      payload: far,
    });
    assert.equal(failed.statusCode, 502);
    assert.equal(failed.json().code, 'BROKER_ERR_NODE_UNREACHABLE');
  });

  for (const payload of [
    {},
    { address: 'n1' },
    { address: 'n1:0' },
    { address: 'a:1', more: 1 },
    { address: 'x'.repeat(20_000) },
  ]) {
    it(`refuses to add ${JSON.stringify(payload).slice(0, 40)}`, async () => {
      const answer = await app.inject({ method: 'POST', url: '/api/v1/nodes', headers, payload });
      assert.equal(answer.statusCode, 400);
      assert.equal(answer.json().code, 'BROKER_ERR_REQUEST_INVALID');
      assert.deepEqual(backend.calls, []);
    });
  }

  it('plans a removal without beginning it', async () => {
    const url = '/api/v1/nodes/n2?dryRun=true';
    const answer = await app.inject({ method: 'DELETE', url, headers });
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.json().bytes, 123_456_789);
    assert.deepEqual(backend.calls, ['planRemoval n2']);
  });

  it('takes the word of a supervisor that saw a node end', async () => {
    const say = (url: string) => app.inject({ method: 'POST', url, headers });
    assert.equal((await say('/api/v1/nodes/n2/ended')).statusCode, 204);
    assert.equal((await say('/api/v1/nodes/n2/ended?bootEpoch=7')).statusCode, 204);
    assert.deepEqual(backend.calls, ['reportEnd n2 undefined', 'reportEnd n2 7']);
    assert.equal((await say('/api/v1/nodes/nobody/ended')).json().code, 'BROKER_ERR_NODE_UNKNOWN');
    for (const epoch of ['0', '-1', 'NaN', '1.5', 'x', '1e300'])
      assert.equal((await say(`/api/v1/nodes/n2/ended?bootEpoch=${epoch}`)).statusCode, 400, epoch);
  });

  it('removes, refuses and forces, and tells the progress', async () => {
    const remove = (url: string) => app.inject({ method: 'DELETE', url, headers });
    const refused = await remove('/api/v1/nodes/n1');
    assert.equal(refused.statusCode, 409);
    assert.equal(refused.json().code, 'BROKER_ERR_NODE_WOULD_BREAK_REPLICAS');
    assert.match(refused.json().remedy, /--force/);
    assert.equal((await get('/api/v1/nodes/n1/removal')).statusCode, 404);
    assert.equal((await remove('/api/v1/nodes/n1?force=true')).statusCode, 202);
    const progress = await get('/api/v1/nodes/n1/removal');
    assert.equal(progress.json().state, 'draining');
    assert.equal((await remove('/api/v1/nodes/nobody')).json().code, 'BROKER_ERR_NODE_UNKNOWN');
    assert.equal((await remove('/api/v1/nodes/n2?force=maybe')).statusCode, 400);
  });

  it('lists, installs, uses and removes keys', async () => {
    const url = '/api/v1/keyring';
    const key = Buffer.alloc(32).toString('base64');
    assert.equal((await get(url)).json().members.length, 3);
    const install = { method: 'POST', url: `${url}/keys`, headers } as const;
    assert.equal((await app.inject({ ...install, payload: { key } })).statusCode, 200);
    const short = await app.inject({ ...install, payload: { key: 'c2VjcmV0' } });
    assert.equal(short.json().code, 'BROKER_ERR_KEY_INVALID');
    assert.ok(!short.body.includes('c2VjcmV0'));
    const use = { method: 'PUT', url: `${url}/primary`, headers } as const;
    const used = await app.inject({ ...use, payload: { id: '1169a4d2' } });
    assert.equal(used.statusCode, 200);
    const missing = await app.inject({ ...use, payload: { id: '00000001' } });
    assert.equal(missing.json().code, 'BROKER_ERR_KEY_MISSING');
    const forced = { id: '00000001', force: true };
    assert.equal((await app.inject({ ...use, payload: forced })).statusCode, 200);
    const remove = (id: string) =>
      app.inject({ method: 'DELETE', url: `${url}/keys/${id}`, headers });
    assert.equal((await remove('1169a4d2')).json().code, 'BROKER_ERR_KEY_IN_USE');
    assert.equal((await remove('00000001')).statusCode, 200);
    for (const id of ['x', '1169A4D2', '1169a4d20']) {
      assert.equal((await remove(id)).statusCode, 400, id);
    }
    backend.encrypted = false;
    assert.equal((await get(url)).json().code, 'BROKER_ERR_KEYRING_ABSENT');
    assert.deepEqual(backend.calls, [
      'installKey',
      'useKey 1169a4d2 false',
      'useKey 00000001 true',
      'removeKey 00000001 false',
    ]);
  });

  it('pages through sessions', async () => {
    backend.sessionCount = 5;
    const first = (await get('/api/v1/sessions?limit=3')).json();
    assert.equal(first.sessions.length, 3);
    const second = (await get(`/api/v1/sessions?limit=3&cursor=${first.nextCursor}`)).json();
    assert.equal(second.sessions.length, 2);
    assert.equal(second.nextCursor, null);
    for (const query of ['limit=0', 'limit=1001', 'limit=x', 'cursor=', 'page=2']) {
      assert.equal((await get(`/api/v1/sessions?${query}`)).statusCode, 400, query);
    }
  });

  it('pages through clients, shows one, and kicks it', async () => {
    backend.sessionCount = 5;
    const first = (await get('/api/v1/clients?limit=3')).json();
    assert.deepEqual([first.clients.length, first.silent], [3, ['n3']]);
    const second = (await get(`/api/v1/clients?limit=3&cursor=${first.nextCursor}`)).json();
    assert.deepEqual([second.clients.length, second.nextCursor], [2, null]);
    for (const query of ['limit=0', 'limit=1001', 'limit=x', 'cursor=', 'page=2'])
      assert.equal((await get(`/api/v1/clients?${query}`)).statusCode, 400, query);
    const shown = (await get(`/api/v1/clients/${encodeURIComponent('a/b c')}`)).json();
    assert.deepEqual([shown.clientId, shown.connection.listener], ['a/b c', 'tls-1']);
    const absent = await get('/api/v1/clients/absent');
    assert.deepEqual([absent.statusCode, absent.json().code], [404, 'BROKER_ERR_CLIENT_UNKNOWN']);
    backend.calls.splice(0);
    const kick = (id: string) =>
      app.inject({ method: 'POST', url: `/api/v1/clients/${id}/kick`, headers });
    assert.equal((await kick('client-1')).statusCode, 204);
    assert.equal((await kick('away')).statusCode, 409);
    assert.deepEqual(backend.calls, ['kickSession client-1', 'kickSession away']);
  });

  it('lists and shows Shared Subscriptions by their whole Topic Filter', async () => {
    const { shares } = (await get('/api/v1/shares')).json();
    const [{ key }] = shares;
    const shown = await get(`/api/v1/shares/${encodeURIComponent(key)}`);
    assert.deepEqual([shown.statusCode, shown.json().members.length], [200, 2]);
    const absent = await get(`/api/v1/shares/${encodeURIComponent('$share/x/y')}`);
    assert.deepEqual([absent.statusCode, absent.json().code], [404, 'BROKER_ERR_SHARE_UNKNOWN']);
  });

  it('takes any Client Identifier in a path', async () => {
    for (const id of ['plain', 'a/b', 'a b?c#d%', 'größe-💧', '\u0001', 'x'.repeat(3000)]) {
      const answer = await get(`/api/v1/sessions/${encodeURIComponent(id)}`);
      assert.equal(answer.statusCode, 200, id);
      assert.equal(answer.json().clientId, id);
      const explained = await get(`/api/v1/sessions/${encodeURIComponent(id)}/explain`);
      assert.equal(explained.json().clientId, id);
    }
  });

  it('takes the Client Identifier .. from a client that sends the path as it is', async () => {
    const api = await startAdminApi({ listen: '127.0.0.1:0', backend, metrics });
    const [host, port] = api.address.split(':');
    const status = await new Promise((resolve, reject) => {
      request({ host, port, path: '/api/v1/sessions/..' }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      })
        .on('error', reject)
        .end();
    });
    assert.equal(status, 200);
    assert.deepEqual(backend.calls, ['showSession ..']);
    await api.close();
  });

  it('recovers shards only when told to accept the loss', async () => {
    const url = '/api/v1/shards/recover';
    const ask = (payload: object) => app.inject({ method: 'POST', url, headers, payload });
    const looked = await ask({});
    assert.equal(looked.json().done, false);
    assert.equal((await ask({ acceptLoss: true })).json().done, true);
    assert.deepEqual(backend.calls, ['recoverShards false', 'recoverShards true']);
    assert.equal((await ask({ force: true })).statusCode, 400);
  });

  it('kicks and deletes sessions', async () => {
    const url = '/api/v1/sessions/client-1';
    const kicked = await app.inject({ method: 'POST', url: `${url}/kick`, headers });
    assert.equal(kicked.statusCode, 204);
    assert.equal((await app.inject({ method: 'DELETE', url, headers })).statusCode, 204);
    assert.deepEqual(backend.calls, ['kickSession client-1', 'deleteSession client-1']);
    const away = await app.inject({
      method: 'POST',
      url: '/api/v1/sessions/away/kick',
      headers,
    });
    assert.equal(away.statusCode, 409);
    const absent = await app.inject({ method: 'DELETE', url: '/api/v1/sessions/absent', headers });
    assert.equal(absent.statusCode, 404);
    assert.equal(absent.json().code, 'BROKER_ERR_SESSION_UNKNOWN');
  });

  it('refuses web pages: a foreign Host or Origin', async () => {
    const hosts = ['evil.example', 'evil.example:7780', '127.0.0.1.evil.example', '10.0.0.1'];
    for (const host of hosts) {
      const answer = await app.inject({ url: '/api/v1/cluster', headers: { host } });
      assert.equal(answer.statusCode, 403, host);
    }
    const url = '/api/v1/sessions/client-1/kick';
    const origin = 'http://evil.example';
    const answer = await app.inject({ method: 'POST', url, headers: { ...headers, origin } });
    assert.equal(answer.statusCode, 403);
    assert.equal(answer.json().code, 'BROKER_ERR_REQUEST_FOREIGN');
    assert.deepEqual(backend.calls, []);
    for (const host of ['localhost:7780', '[::1]:7780', '127.0.0.1']) {
      assert.equal((await app.inject({ url: '/health', headers: { host } })).statusCode, 200, host);
    }
  });

  it('answers an unknown route and bad JSON in its own words', async () => {
    const unknown = await get('/api/v2/cluster');
    assert.equal(unknown.statusCode, 404);
    assert.equal(unknown.json().code, 'BROKER_ERR_ROUTE_UNKNOWN');
    const broken = await app.inject({
      method: 'POST',
      url: '/api/v1/nodes',
      headers: { ...headers, 'content-type': 'application/json' },
      payload: '{',
    });
    assert.equal(broken.statusCode, 400);
    assert.equal(broken.json().code, 'BROKER_ERR_REQUEST_INVALID');
  });

  it('hides nothing of an unknown failure from its log, and gives it a code', async () => {
    backend.failures.push(new TypeError('x is not a function'));
    const logged: string[] = [];
    const own = await createAdminApp({
      listen: '127.0.0.1:0',
      backend,
      metrics,
      log: (level, message) => logged.push(`${level} ${message}`),
    });
    const answer = await own.inject({ url: '/api/v1/cluster', headers });
    assert.equal(answer.statusCode, 500);
    assert.equal(answer.json().code, 'BROKER_ERR_INTERNAL');
    assert.deepEqual(logged, ['error admin request failed']);
    await own.close();
  });

  it('answers BROKER_ERR_TIMEOUT when the backend does not', async () => {
    const stuck = new FakeBackend();
    stuck.clusterStatus = () => new Promise(() => {});
    const own = await createAdminApp({
      listen: '127.0.0.1:0',
      backend: stuck,
      metrics,
      answerTimeoutMs: 20,
    });
    const answer = await own.inject({ url: '/api/v1/cluster', headers });
    assert.equal(answer.statusCode, 504);
    assert.equal(answer.json().code, 'BROKER_ERR_TIMEOUT');
    await own.close();
  });

  it('listens on a free port and lets it go', async () => {
    const api = await startAdminApi({ listen: '127.0.0.1:0', backend, metrics });
    const answer = await fetch(`http://${api.address}/health`);
    assert.equal(answer.status, 200);
    await answer.text();
    await api.close();
    await assert.rejects(fetch(`http://${api.address}/health`));
  });

  it('refuses an address in use, off loopback, or of another machine', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as AddressInfo;
    const start = (listen: string) => startAdminApi({ listen, backend, metrics });
    const code = (wanted: string) => (error: unknown) =>
      error instanceof BrokerError && error.code === wanted;
    await assert.rejects(start(`127.0.0.1:${port}`), code('BROKER_ERR_ADDRESS_IN_USE'));
    await assert.rejects(start('0.0.0.0:0'), code('BROKER_ERR_ADDRESS_NOT_LOOPBACK'));
    await assert.rejects(start('nowhere'), code('BROKER_ERR_ADDRESS_UNUSABLE'));
    await new Promise((resolve) => other.close(resolve));
  });
});
