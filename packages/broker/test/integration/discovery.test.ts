import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { ClusterStatus } from '../../src/index.ts';
import { TestCluster } from './cluster.ts';

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('nodes that look for their cluster', function () {
  this.timeout(30_000);
  const cluster = new TestCluster(3);

  after(() => cluster.stop());

  it('wait for it with an empty folder instead of founding one, and join it', async () => {
    const port = await freePort();
    const search = (way: string) => ({ 'cluster.join': [], 'cluster.discovery': [way] });
    const waiting = [
      cluster.start('n2', search(`range:127.0.0.1-127.0.0.2:${port}`)),
      cluster.start('n3', search(`range+tcp:127.0.0.1:${port}`)),
    ];
    const founder = { 'cluster.join': [], 'cluster.listen': `127.0.0.1:${port}` };
    await Promise.all([cluster.start('n1', founder), ...waiting]);
    for (const name of ['n1', 'n2', 'n3']) {
      const { members } = await cluster.until<ClusterStatus>(
        name,
        '/api/v1/cluster',
        (status) => status.members.filter(({ state }) => state === 'alive').length === 3,
      );
      assert.deepEqual(
        members.map((member) => member.name),
        ['n1', 'n2', 'n3'],
      );
    }
  });
});
