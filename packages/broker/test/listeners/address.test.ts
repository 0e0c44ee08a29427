import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAddress } from '@shoal/swim';
import { listen } from '../../src/edge/listeners/bind.ts';
import { SocketListener } from '../../src/edge/listeners/socket-listener.ts';
import { BrokerError } from '../../src/errors.ts';
import type { ClientHandler, ClientSocket } from '../../src/ports.ts';
import { ListenerBench, until } from './bench.ts';

const coded = (code: string, told: RegExp) => (error: unknown) =>
  error instanceof BrokerError && error.code === code && told.test(error.message);

describe('unix socket listener', () => {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-unix-'));
  const address = join(folder, 'mqtt.sock');
  after(() => rmSync(folder, { recursive: true }));

  let bench: ListenerBench;
  beforeEach(() => {
    bench = new ListenerBench();
  });
  afterEach(() => bench.stop());

  it('names itself as the client’s address, and goes with its listener', async () => {
    await bench.start({ transport: 'unix', address });
    await bench.socket();
    await until(() => bench.accepted.length === 1);
    assert.equal(bench.accepted[0]!.socket.remote, `unix:${address}`);
    await bench.stop();
    assert.throws(() => statSync(address), { code: 'ENOENT' });
  });

  it('has the permissions of its mode', async () => {
    const umask = process.umask();
    for (const [mode, expected] of [
      [undefined, 0o660],
      ['600', 0o600],
      ['777', 0o777],
    ] as const) {
      await bench.start({ transport: 'unix', address, ...(mode === undefined ? {} : { mode }) });
      assert.equal(statSync(address).mode & 0o777, expected);
      await bench.stop();
    }
    assert.equal(process.umask(), umask);
  });

  it('replaces the socket that a killed process has left', async () => {
    const leave = `require('net').createServer().listen(${JSON.stringify(address)}, () => process.kill(process.pid, 'SIGKILL'))`;
    assert.throws(() => execFileSync(process.execPath, ['-e', leave], { stdio: 'ignore' }));
    assert.ok(statSync(address).isSocket());
    await bench.start({ transport: 'unix', address });
    await bench.socket();
    await until(() => bench.accepted.length === 1);
  });

  it('says that its socket has vanished while it was made, and ends nothing', async () => {
    const starting = listen({ path: address, mode: 0o660 });
    unlinkSync(address);
    await assert.rejects(starting, coded('BROKER_ERR_ADDRESS_UNUSABLE', /mqtt\.sock/));
  });

  it('takes the place of no other process, and of no file', async () => {
    await bench.start({ transport: 'unix', address });
    const second = new ListenerBench();
    const inUse = coded('BROKER_ERR_ADDRESS_IN_USE', /another process listens there/);
    await assert.rejects(second.start({ transport: 'unix', address }), inUse);
    const socket = await bench.socket();
    socket.write('still there');
    await once(socket, 'data');
    const file = join(folder, 'file');
    writeFileSync(file, 'precious');
    const noSocket = coded('BROKER_ERR_ADDRESS_IN_USE', /a file that is no socket has this name/);
    await assert.rejects(second.start({ transport: 'unix', address: file }), noSocket);
    assert.ok(statSync(file).isFile());
    const nowhere = coded('BROKER_ERR_ADDRESS_UNUSABLE', /\/no\/such\/folder/);
    await assert.rejects(
      second.start({ transport: 'unix', address: '/no/such/folder/a' }),
      nowhere,
    );
  });
});

describe('listener on IPv6', () => {
  const remotes: string[] = [];
  const onConnection = ({ remote }: ClientSocket): ClientHandler => {
    remotes.push(remote);
    return { onData() {}, onClosed() {}, onSecond() {}, onDrain() {} };
  };
  let listener: SocketListener;
  afterEach(() => listener.close());

  const start = async (host: string, ipv6Only: boolean) => {
    const place = { host, port: 0, ipv6Only };
    listener = await SocketListener.start({ place, onConnection, maxConnections: 9, log() {} });
    return parseAddress(listener.address).port;
  };
  const isServed = async (host: string, port: number): Promise<boolean> => {
    const socket = connect(port, host);
    const served = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'close').then(() => false),
    ]).catch(() => false);
    const before = remotes.length;
    if (served) await until(() => remotes.length > before || listener.count > 0);
    socket.destroy();
    return served;
  };

  it('serves [::1], and shows the client in brackets', async () => {
    const port = await start('::1', false);
    assert.equal(listener.address, `[::1]:${port}`);
    assert.equal(await isServed('::1', port), true);
    assert.match(remotes.at(-1)!, /^\[::1\]:\d+$/);
  });

  it('serves both families on a wildcard, and shows an IPv4 client as such', async () => {
    const port = await start('::', false);
    assert.equal(await isServed('::1', port), true);
    assert.equal(await isServed('127.0.0.1', port), true);
    assert.match(remotes.at(-1)!, /^127\.0\.0\.1:\d+$/);
  });

  it('serves IPv6 alone where it is told to', async () => {
    const port = await start('::', true);
    assert.equal(await isServed('::1', port), true);
    assert.equal(await isServed('127.0.0.1', port), false);
  });
});
