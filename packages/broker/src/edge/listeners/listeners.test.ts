import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { parseAddress } from '@shoal/swim';
import { BrokerError } from '../../errors.ts';
import { Listeners } from './listeners.ts';

const tcp = (name: string, address = '127.0.0.1:0') =>
  ({ name, transport: 'tcp', address }) as const;

describe('the listeners of a node', () => {
  const opened: Listeners[] = [];
  const sockets: Socket[] = [];

  const start = async (configs: Parameters<typeof Listeners.start>[0], maxConnections = 10) => {
    const listeners = await Listeners.start(configs, {
      onConnection: (socket) => ({
        // Answers so that the client knows that it was taken.
        onData: () => (socket.isExcess ? socket.close(true) : socket.write(Uint8Array.of(1))),
        onClosed: () => {},
        onSecond: () => {},
        onDrain: () => {},
      }),
      maxConnections,
      log: () => {},
    });
    opened.push(listeners);
    return listeners;
  };
  /** Resolves with whether the client is served. */
  const isServed = async (address: string): Promise<boolean> => {
    const target = parseAddress(address);
    const socket = connect(target);
    sockets.push(socket);
    socket.on('error', () => {});
    socket.write('hello');
    return await Promise.race([
      once(socket, 'data').then(() => true),
      once(socket, 'close').then(() => false),
    ]);
  };

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await Promise.all(opened.splice(0).map((listeners) => listeners.close()));
  });

  it('are reported as bound, in the order of the configuration', async () => {
    const { reports } = await start([tcp('one'), tcp('two')]);
    assert.deepEqual(
      reports.map(({ name, transport }) => [name, transport]),
      [
        ['one', 'tcp'],
        ['two', 'tcp'],
      ],
    );
    for (const { address } of reports) assert.doesNotMatch(address, /:0$/);
  });

  it('turn clients away until they are opened, all at once', async () => {
    const listeners = await start([tcp('one'), tcp('two')]);
    const [one, two] = listeners.reports;
    assert.equal(await isServed(one.address), false);
    listeners.open();
    assert.equal(await isServed(one.address), true);
    assert.equal(await isServed(two!.address), true);
    assert.equal(listeners.count, 2);
  });

  it('share one bound on connections', async () => {
    const listeners = await start([tcp('one'), tcp('two')], 2);
    const [one, two] = listeners.reports;
    listeners.open();
    assert.equal(await isServed(one.address), true);
    assert.equal(await isServed(two!.address), true);
    assert.equal(await isServed(one.address), false);
    assert.equal(await isServed(two!.address), false);
  });

  it('leave nothing open when one of them cannot start, and name it', async () => {
    const [first] = (await start([tcp('taken')])).reports;
    const free = (await start([tcp('free')])).reports[0].address;
    await opened.pop()!.close();
    await assert.rejects(
      start([tcp('free', free), tcp('second', first.address)]),
      (error) =>
        error instanceof BrokerError &&
        error.code === 'BROKER_ERR_ADDRESS_IN_USE' &&
        error.message.includes(`listener second: ${first.address}`),
    );
    assert.equal((await start([tcp('free', free)])).reports[0].address, free);
  });

  it('refer clients to no address that stands for every interface', async () => {
    const every = await start([tcp('open', '0.0.0.0:0')]);
    assert.match(every.main.address, /^0\.0\.0\.0:\d+$/);
    assert.equal(every.reference, '');
    const one = await start([tcp('one')]);
    assert.equal(one.reference, one.main.address);
  });
});
