import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterStatus } from '@shoal/broker';
import mqtt from 'mqtt';
import { LocalCluster } from '../../../../bench/src/chaos/cluster.ts';
import { FEW_SHARDS } from './tools.ts';

describe('a node that was killed is removed by force', function () {
  this.timeout(120_000);
  let cluster: LocalCluster;

  before(async () => {
    cluster = await LocalCluster.create({ nodes: 4, startArgs: FEW_SHARDS });
  });
  after(async () => {
    await cluster?.stop();
  });

  /** The cluster as n1 sees it, once the state of n4 is as wanted. */
  async function once(state: string): Promise<ClusterStatus> {
    for (;;) {
      const status = (await cluster.get('n1', '/api/v1/cluster'))?.body as
        | ClusterStatus
        | undefined;
      if (status?.members.find(({ name }) => name === 'n4')?.state === state) return status;
      await delay(100);
    }
  }

  function connect(node: string, clientId: string): mqtt.MqttClient {
    const { host, port } = cluster.endpoint(node);
    return mqtt.connect(`mqtt://${host}:${port}`, {
      clientId,
      clean: false,
      protocolVersion: 5,
      properties: { sessionExpiryInterval: 3600 },
    });
  }

  it('is refused without --force; with it, all copies and votes are replaced', async () => {
    const sam = connect('n4', 'sam');
    sam.on('error', () => {});
    await sam.subscribeAsync('removal/#', { qos: 1 });
    await cluster.kill('n4', 'SIGKILL');
    sam.end(true);
    await once('faulty');
    const refused = await cluster.cli(['node', 'remove', 'n4'], 'n1');
    assert.equal(refused.code, 47, refused.stderr);
    assert.match(refused.stderr, /n4 is dead.*--force/);
    const removed = await cluster.cli(['node', 'remove', 'n4', '--force', '--wait'], 'n1', 60_000);
    assert.equal(removed.code, 0, removed.stderr);
    assert.match(removed.stdout, /n4 is gone\./);
    const { members } = await once('left');
    assert.deepEqual(
      members.map(({ state, shardsHeld }) => state === 'left' && shardsHeld > 0),
      [false, false, false, false],
    );
    const isWhole = async (name: string) =>
      (await cluster.get(name, '/ready?replicated=true'))?.status === 200;
    for (const name of ['n1', 'n2', 'n3']) while (!(await isWhole(name))) await delay(100);
    const publisher = connect('n1', 'publisher');
    await publisher.publishAsync('removal/1', 'while it is gone', { qos: 1 });
    await publisher.endAsync();
  });

  it('comes back with its old folder as an ordinary member, and serves its session', async () => {
    await cluster.start('n4');
    assert.ok(await cluster.whole(60_000), await cluster.describe());
    await once('alive');
    const sam = connect('n4', 'sam');
    const seen = await new Promise<string>((resolve, reject) => {
      sam.once('error', reject);
      sam.once('message', (_topic, payload) => resolve(payload.toString()));
    });
    assert.equal(seen, 'while it is gone');
    await sam.endAsync();
  });
});
