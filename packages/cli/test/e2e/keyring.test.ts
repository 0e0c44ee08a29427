import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import mqtt from 'mqtt';
import { LocalCluster, SHOAL_BIN } from '../../../../bench/src/chaos/cluster.ts';
import { run } from '../../../../bench/src/chaos/managed-process.ts';
import { FEW_SHARDS } from './tools.ts';

interface Ring {
  readonly primary: string;
  readonly keys: Readonly<Record<string, string>>;
}

describe('a cluster with a keyring', function () {
  this.timeout(120_000);
  let cluster: LocalCluster;
  let folder: string;
  let file: string;

  before(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'shoal-e2e-'));
    file = path.join(folder, 'keyring.json');
    await shoal('keyring', 'generate', '--out', file);
    cluster = await LocalCluster.create({
      nodes: 3,
      startArgs: [...FEW_SHARDS, '--keyring', file],
    });
  });
  after(async () => {
    await cluster?.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  });

  async function shoal(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await run(SHOAL_BIN, args, { timeoutMs: 30_000 });
    assert.equal(code, 0, stderr);
    return stdout.trim();
  }

  async function keyring(node: string, ...args: string[]) {
    const { code, stdout, stderr } = await cluster.cli(['keyring', ...args, '--json'], node);
    assert.equal(code, 0, `${stdout}${stderr}`);
    return JSON.parse(stdout).keys;
  }

  const ringOf = (node: string): Ring =>
    JSON.parse(fs.readFileSync(path.join(cluster.dataDir(node), 'keyring.json'), 'utf8'));

  it('rotates its key while it serves, and keeps every node’s ring on disk', async () => {
    const first = (JSON.parse(fs.readFileSync(file, 'utf8')) as Ring).primary;
    assert.deepEqual(await keyring('n2', 'list'), [{ id: first, primaryOn: 3, heldBy: 3 }]);
    const { host, port } = cluster.endpoint('n1');
    const client = mqtt.connect(`mqtt://${host}:${port}`, { clientId: 'sam', reconnectPeriod: 0 });
    await client.subscribeAsync('rotation/#', { qos: 1 });

    const nextFile = path.join(folder, 'next.json');
    const second = await shoal('keyring', 'generate', '--out', nextFile);
    const installed = await keyring('n1', 'install', '--file', nextFile);
    assert.deepEqual(installed[1], { id: second, primaryOn: 0, heldBy: 3 });
    assert.equal((await cluster.cli(['keyring', 'remove', first], 'n2')).code, 55);
    assert.equal((await keyring('n2', 'use', second))[0].primaryOn, 3);
    const rotated = [{ id: second, primaryOn: 3, heldBy: 3 }];
    assert.deepEqual(await keyring('n3', 'remove', first), rotated);
    for (const node of cluster.names) assert.deepEqual(Object.keys(ringOf(node).keys), [second]);

    await client.publishAsync('rotation/1', 'after', { qos: 1 });
    assert.ok(client.connected);
    client.end(true);
    for (const node of cluster.names) {
      const log = fs.readFileSync(cluster.logFile(node), 'utf8');
      assert.ok(!log.includes('SWIM_ERR_KEY'), log);
      for (const key of Object.values(ringOf(node).keys)) assert.ok(!log.includes(key));
    }
    // A restart takes the ring of the data folder, not the file it was first given.
    await cluster.kill('n2', 'SIGKILL');
    await cluster.start('n2');
    assert.deepEqual(await keyring('n2', 'list'), rotated);
  });

  it('keeps a node with an old ring out, says why, and takes it with the present one', async () => {
    await cluster.kill('n3', 'SIGKILL');
    const present = fs.readFileSync(path.join(cluster.dataDir('n1'), 'keyring.json'));
    const kept = path.join(cluster.dataDir('n3'), 'keyring.json');
    fs.copyFileSync(file, kept);
    const starting = cluster.start('n3');
    const failed = assert.rejects(starting);
    const log = (): string => fs.readFileSync(cluster.logFile('n3'), 'utf8');
    while (!/SWIM_ERR_KEY_(UNKNOWN|REFUSED)/.test(log())) {
      await delay(100);
    }
    await cluster.kill('n3', 'SIGKILL');
    await failed;
    fs.writeFileSync(kept, present);
    await cluster.start('n3');
    assert.equal((await keyring('n3', 'list'))[0].heldBy, 3);
  });
});
