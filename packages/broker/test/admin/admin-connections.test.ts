import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { createCounters } from '../../src/counters.ts';
import { type AdminApi, startAdminApi } from '../../src/edge/admin/admin-api.ts';
import { ADMIN_CONNECTIONS_MAX } from '../../src/edge/admin/admin-connections.ts';
import { BrokerMetrics } from '../../src/edge/admin/metrics.ts';
import { FakeBackend } from './fake-backend.ts';

const HALF_HEADERS = 'GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ';
const HALF_BODY =
  'POST /api/v1/nodes HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{';

describe('connections of the admin API', function () {
  this.timeout(20_000);
  let backend: FakeBackend;
  let api: AdminApi;
  let port: number;
  const sockets: Socket[] = [];

  beforeEach(async () => {
    backend = new FakeBackend();
    const metrics = new BrokerMetrics(createCounters, 'n1');
    api = await startAdminApi({ listen: '127.0.0.1:0', backend, metrics });
    port = Number(api.address.split(':')[1]);
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await api.close();
  });

  async function open(text: string): Promise<Socket> {
    const socket = connect(port, '127.0.0.1').resume();
    sockets.push(socket);
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.write(text);
    return socket;
  }

  function health(): Promise<number> {
    return new Promise((resolve, reject) => {
      get({ port, path: '/health', agent: false }, (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      }).on('error', reject);
    });
  }

  for (const [what, text] of [
    ['say nothing', ''],
    ['have sent half of their headers', HALF_HEADERS],
    ['have sent half of a body', HALF_BODY],
  ]) {
    it(`that ${what} keep no other out, however many`, async () => {
      const oldest = await open(text!);
      const closed = once(oldest, 'close');
      for (let i = 0; i < ADMIN_CONNECTIONS_MAX + 40; i++) await open(text!);
      await closed;
      assert.equal(await health(), 200);
    });
  }

  it('that are being answered are left alone', async () => {
    const never = Promise.withResolvers<never>();
    backend.clusterStatus = () => never.promise;
    const answered = 'GET /api/v1/cluster HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
    const asking = await open(answered);
    let ended = false;
    asking.on('close', () => {
      ended = true;
    });
    for (let i = 0; i < ADMIN_CONNECTIONS_MAX + 40; i++) await open(HALF_HEADERS);
    assert.equal(await health(), 200);
    assert.equal(ended, false);
    never.reject(new Error('over'));
  });

  it('that send half a request end by themselves', async () => {
    const halves = await Promise.all([HALF_HEADERS, HALF_BODY].map(open));
    await Promise.all(halves.map((half) => once(half, 'close')));
  });

  it('carry Client Identifiers and cursors of any length', async () => {
    const clientId = 'é'.repeat(65_534 / 2);
    const id = encodeURIComponent(clientId);
    const ask = (method: string, path: string) =>
      new Promise<number>((resolve, reject) => {
        const asked = request({ port, method, path, agent: false }, (answer) => {
          answer.resume();
          resolve(answer.statusCode ?? 0);
        });
        asked.on('error', reject);
        asked.end();
      });
    assert.equal(await ask('GET', `/api/v1/sessions/${id}`), 200);
    assert.equal(await ask('GET', `/api/v1/sessions/${id}/explain`), 200);
    assert.equal(await ask('POST', `/api/v1/sessions/${id}/kick`), 204);
    assert.equal(await ask('DELETE', `/api/v1/sessions/${id}`), 204);
    const cursor = Buffer.from(clientId).toString('base64url');
    assert.equal(await ask('GET', `/api/v1/sessions?limit=3&cursor=${cursor}`), 200);
    assert.ok(backend.calls.includes(`kickSession ${clientId}`));
    assert.ok(backend.calls.includes(`listSessions 3 ${cursor}`));
  });
});
