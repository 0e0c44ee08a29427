/** Users of a real cluster: known on every node, kept when nodes die, asked of real clients. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { LocalCluster, SHOAL_BIN } from '../../../../bench/src/chaos/cluster.ts';
import { ManagedProcess, type Output, run } from '../../../../bench/src/chaos/managed-process.ts';
import { canRun, FEW_SHARDS, itWith } from './tools.ts';

const hasMosquitto = canRun('mosquitto_pub', ['--help']);

/** A publish of QoS 1 that is acknowledged, or not. */
function publish(port: string | number, ...args: string[]): Promise<Output> {
  const to = ['-h', '127.0.0.1', '-p', String(port), '-q', '1', '-t', 't', '-m', 'x'];
  return run('mosquitto_pub', [...to, ...args], { timeoutMs: 15_000 });
}

describe('users', function () {
  this.timeout(120_000);
  let cluster: LocalCluster | undefined;
  afterEach(async () => {
    await cluster?.stop();
    cluster = undefined;
  });

  itWith('mosquitto_pub', hasMosquitto, 'outlive the node at which they were added', async () => {
    cluster = await LocalCluster.create({
      nodes: 3,
      startArgs: [...FEW_SHARDS, '--auth-required'],
    });
    const { port: second } = cluster.endpoint('n2');
    assert.notEqual((await publish(second)).code, 0);
    const admin = ['--admin', cluster.adminUrl('n1'), '--json'];
    const added = await run(SHOAL_BIN, ['user', 'add', 'ann', ...admin], { timeoutMs: 30_000 });
    assert.equal(added.code, 0, added.stderr);
    const ann = ['-u', 'ann', '-P', JSON.parse(added.stdout).madePassword];
    assert.equal((await publish(second, ...ann)).code, 0);
    assert.notEqual((await publish(second, '-u', 'ann', '-P', 'wrong')).code, 0);
    await cluster.kill('n1', 'SIGKILL');
    assert.equal((await publish(cluster.endpoint('n3').port, ...ann)).code, 0);
    await cluster.start('n1');
    assert.equal((await publish(cluster.endpoint('n1').port, ...ann)).code, 0);
  });

  itWith(
    'mosquitto_pub',
    hasMosquitto,
    'are made by --lan, which says how to come in',
    async () => {
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'shoal-e2e-'));
      const free = '127.0.0.1:0';
      const listen = ['--mqtt-listen', free, '--cluster-listen', free, '--admin-listen', free];
      const own = ['--node-name', 'n1', '--data-dir', path.join(folder, 'n1'), ...FEW_SHARDS];
      const told = Promise.withResolvers<void>();
      let port = '';
      let password = '';
      const onLine = (line: string) => {
        port ||= /"mqtt":"127\.0\.0\.1:(\d+)"/.exec(line)?.[1] ?? '';
        password ||= /^Try: mosquitto_sub .* -u shoal -P (\S+)/.exec(line)?.[1] ?? '';
        if (password !== '') told.resolve();
      };
      const node = await ManagedProcess.start({
        command: SHOAL_BIN,
        args: ['start', '--lan', ...own, ...listen],
        logFile: path.join(folder, 'log'),
        onLine,
      });
      try {
        const ended = node.exited.then(() => assert.fail(node.tail()));
        await Promise.race([told.promise, ended]);
        assert.notEqual((await publish(port)).code, 0);
        assert.equal((await publish(port, '-u', 'shoal', '-P', password)).code, 0);
      } finally {
        await node.end(10_000);
        fs.rmSync(folder, { recursive: true, force: true });
      }
    },
  );
});
