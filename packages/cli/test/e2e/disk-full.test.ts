import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { connect, connectAsync } from 'mqtt';
import { SHOAL_BIN } from '../../../../bench/src/chaos/cluster.ts';
import { ManagedProcess } from '../../../../bench/src/chaos/managed-process.ts';
import { freePort } from '../../../../bench/src/chaos/ports.ts';

const HOST = '127.0.0.1';
const PAYLOAD_BYTES = 64 * 1024;
/** More than fits: the disk of the first start is full long before. */
const MESSAGES_MAX = 2_000;
const AT_ONCE = 10;

/** The node on a small disk of its own; once it has ended, on the same disk made larger. */
const SCRIPT = `
mount -t tmpfs -o size=24m none "$1" || exit 99
shift; data="$1"; shift
"$@"; code=$?; echo "ended $code"
[ $code = 35 ] || exit $code
mount -o remount,size=512m "$data" || exit 99
exec "$@"
`;

/** Only root may, and not in every container. */
const canMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

describe('a full disk', function () {
  this.timeout(120_000);

  const title = 'ends the node with code 35, and loses nothing that was acknowledged';
  const test = async (): Promise<void> => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'shoal-full-'));
    const data = path.join(folder, 'data');
    fs.mkdirSync(data);
    const port = await freePort(new Set());
    const listen = async () => `${HOST}:${await freePort(new Set([port]))}`;
    const flags = Object.entries({
      'node-name': 'n1',
      'data-dir': data,
      'mqtt-listen': `${HOST}:${port}`,
      'cluster-listen': await listen(),
      'admin-listen': await listen(),
      set: 'cluster.shards=16',
    }).flatMap(([name, value]) => [`--${name}`, value]);
    const said: string[] = [];
    let pid = 0;
    let heard: () => void = () => {};
    const node = await ManagedProcess.start({
      command: 'unshare',
      args: ['-m', 'sh', '-c', SCRIPT, 'sh', data, data, SHOAL_BIN, 'start', ...flags],
      logFile: path.join(folder, 'log'),
      onLine: (line) => {
        said.push(line);
        if (line.startsWith('ready ')) pid = JSON.parse(line.slice('ready '.length)).pid;
        heard();
      },
    });
    const line = async (test: (line: string) => boolean): Promise<string> => {
      for (;;) {
        const found = said.find(test);
        if (found !== undefined) return found;
        assert.equal(node.exit, undefined, node.tail());
        const { promise, resolve } = Promise.withResolvers<void>();
        heard = resolve;
        await Promise.race([promise, node.exited]);
      }
    };
    try {
      await line((l) => l.startsWith('ready '));
      said.length = 0;
      const url = `mqtt://${HOST}:${port}`;
      const sleeper = await connectAsync(url, { clientId: 'sleeper', clean: false });
      await sleeper.subscribeAsync('full/#', { qos: 1 });
      await sleeper.endAsync();

      const publisher = await connectAsync(url, { clientId: 'filler', reconnectPeriod: 0 });
      publisher.on('error', () => {});
      const acknowledged = new Set<number>();
      // The store compresses, so it has to be noise.
      const filler = randomBytes(PAYLOAD_BYTES);
      const ended = line((l) => l.startsWith('ended '));
      let over = false;
      void ended.finally(() => {
        over = true;
      });
      const publish = (i: number): Promise<unknown> =>
        publisher
          .publishAsync('full/up', Buffer.concat([Buffer.from(`${i} `), filler]), { qos: 1 })
          .then(
            () => acknowledged.add(i),
            () => {},
          );
      for (let i = 0; i < MESSAGES_MAX && !over; i += AT_ONCE) {
        const batch = Array.from({ length: AT_ONCE }, (_, k) => publish(i + k));
        await Promise.race([Promise.all(batch), ended]);
      }
      assert.equal(await ended, 'ended 35', node.tail());
      publisher.end(true);
      assert.ok(acknowledged.size >= AT_ONCE, `${acknowledged.size} fitted`);

      await line((l) => l.startsWith('ready '));
      const missing = new Set(acknowledged);
      const { promise, resolve } = Promise.withResolvers<void>();
      const back = connect(url, { clientId: 'sleeper', clean: false });
      back.on('message', (_topic, payload) => {
        missing.delete(Number.parseInt(payload.toString('latin1'), 10));
        if (missing.size === 0) resolve();
      });
      await promise;
      await back.endAsync();
    } finally {
      // The shell's child, which a signal to the shell does not reach.
      if (!node.exit && pid > 0) process.kill(pid, 'SIGKILL');
      await node.exited;
      fs.rmSync(folder, { recursive: true, force: true });
    }
  };
  if (canMount) it(title, test);
  else it(`${title} (skipped: mounting is not allowed here)`);
});
