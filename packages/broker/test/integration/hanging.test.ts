import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClusterStatus, MemberStatus } from '../../src/index.ts';
import { TestClient, TestCluster } from './cluster.ts';

const PROGRAM = new URL('./hanging-node.ts', import.meta.url);

describe('a node that hangs', function () {
  this.timeout(60_000);
  const cluster = new TestCluster(2);
  let child: ChildProcess;

  const start = async (name: string, flags: Record<string, string>): Promise<void> => {
    const all = { ...(await cluster.flags(name)), ...flags };
    child = fork(PROGRAM, [JSON.stringify(all)]);
    await once(child, 'message');
  };

  /** What n1 says of a member, once it is as wanted. */
  const seen = async (
    name: string,
    wanted: (member: MemberStatus) => boolean,
  ): Promise<MemberStatus> => {
    const find = ({ members }: ClusterStatus) => members.find((member) => member.name === name);
    const status = await cluster.until<ClusterStatus>('n1', '/api/v1/cluster', (body) => {
      const member = find(body);
      return member !== undefined && wanted(member);
    });
    return find(status) as MemberStatus;
  };

  before(async () => {
    for (const name of ['n1', 'n2']) await cluster.start(name);
  });

  afterEach(async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  });

  after(() => cluster.stop());

  it('with its main loop is alive and unwell, leads nothing, and is well again with it', async () => {
    await start('n3', { 'swim.unwellAfterMs': '300' });
    const before = await seen('n3', (m) => m.state === 'alive' && m.shardsLed > 0);
    assert.equal(before.unwell, false);
    child.send(5_000);
    const hung = await seen('n3', (m) => m.unwell && m.shardsLed === 0);
    assert.equal(hung.state, 'alive');
    const after = await seen('n3', (m) => !m.unwell && m.shardsLed > 0);
    assert.equal(after.state, 'alive');
    assert.equal(after.bootEpoch, before.bootEpoch);
  });

  it('with its disk is gone around: no client waits for its copies, and it is back with its disk', async () => {
    await start('n5', { 'swim.unwellAfterMs': '300' });
    const before = await seen('n5', (m) => m.state === 'alive' && m.shardsLed > 0);
    child.send('disk');
    // Every CONNECT is logged, on many shards: some have a copy there.
    const ids = Array.from({ length: 32 }, (_, n) => `client-${n}`);
    const gateway = cluster.nodes.get('n1');
    assert.ok(gateway !== undefined);
    const clients = await Promise.all(ids.map((id) => TestClient.connect(gateway, id)));
    const hung = await seen('n5', (m) => m.unwell && m.shardsLed === 0);
    assert.equal(hung.state, 'alive');
    const dir = String((await cluster.flags('n5'))['data.dir']);
    for (let thread = 0; thread < 4; thread++) await writeFile(join(dir, `pipe-${thread}`), '');
    const after = await seen('n5', (m) => !m.unwell && m.shardsLed > 0);
    assert.equal(after.bootEpoch, before.bootEpoch);
    await Promise.all(clients.map((client) => client.close()));
  });

  it('is found faulty without a thread of its own, as any other that says nothing', async () => {
    await start('n4', { 'swim.thread': 'main' });
    await seen('n4', (m) => m.state === 'alive');
    child.send(5_000);
    const hung = await seen('n4', (m) => m.state === 'faulty');
    assert.equal(hung.unwell, false);
    await seen('n4', (m) => m.state === 'alive');
  });
});
