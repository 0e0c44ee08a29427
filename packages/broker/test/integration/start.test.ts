import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { BrokerError, type ClusterStatus } from '../../src/index.ts';
import { TestCluster } from './cluster.ts';

/** A port that another program listens on. */
async function takenPort(): Promise<{ address: string; server: Server }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { address: `127.0.0.1:${(server.address() as { port: number }).port}`, server };
}

describe('a node that starts', function () {
  this.timeout(30_000);
  let cluster: TestCluster;

  beforeEach(() => {
    cluster = new TestCluster(3);
  });
  afterEach(() => cluster.stop());

  for (const key of ['mqtt.listen', 'admin.listen', 'cluster.listen'] as const) {
    it(`founds nothing where ${key} is taken: its folder joins another cluster afterwards`, async () => {
      const { address, server } = await takenPort();
      await assert.rejects(
        cluster.start('n2', { [key]: address }),
        (error) => error instanceof BrokerError && error.code === 'BROKER_ERR_ADDRESS_IN_USE',
      );
      server.close();
      await cluster.start('n1');
      await cluster.start('n2');
      const status = await cluster.until<ClusterStatus>('n1', '/api/v1/cluster', (body) =>
        body.members.some(({ name, state }) => name === 'n2' && state === 'alive'),
      );
      assert.equal(status.members.length, 2);
    });
  }

  it('and is told to stop later, has stopped for the others', async () => {
    await cluster.start('n1');
    await cluster.start('n2');
    const n2 = cluster.nodes.get('n2')!;
    await n2.running.stop();
    cluster.nodes.delete('n2');
    const isStopped = ({ members }: ClusterStatus) =>
      members.find(({ name }) => name === 'n2')?.state === 'stopped';
    await cluster.until<ClusterStatus>('n1', '/api/v1/cluster', isStopped);
    await cluster.start('n2');
    await cluster.until<ClusterStatus>('n1', '/api/v1/cluster', (body) =>
      body.members.every(({ state }) => state === 'alive'),
    );
  });
});
