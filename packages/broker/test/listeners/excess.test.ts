/** Connections beyond the bound of a listener: held until they can be refused, few at once. */
import assert from 'node:assert/strict';
import type { ListenerConfig } from '../../src/config-listener.ts';
import { ListenerBench, until, untilEnd } from './bench.ts';

const HEADER = 'PROXY TCP4 192.0.2.1 192.0.2.2 1000 1883\r\n';

for (const [name, config, begin] of [
  ['of transport tcp', { transport: 'tcp' }, ''],
  ['behind a proxy', { transport: 'tcp', proxyFrom: ['127.0.0.1'] }, HEADER],
] as const satisfies readonly (readonly [string, Partial<ListenerConfig>, string])[])
  describe(`a full listener ${name}`, () => {
    let bench: ListenerBench;
    const excess = { connectionsExcess: 0, connectionsOverLimit: 0 };
    const client = async () => {
      const socket = await bench.socket();
      socket.write(begin);
      return socket;
    };
    const accepted = () => bench.accepted.length;

    beforeEach(async () => {
      bench = new ListenerBench();
      Object.assign(excess, { connectionsExcess: 0, connectionsOverLimit: 0 });
      await bench.start(config, {}, { maxConnections: 1, excess });
    });
    afterEach(() => bench.stop());

    it('holds a further connection to be refused, and accepts again below the bound', async () => {
      const first = await client();
      await until(() => accepted() === 1);
      const surplus = await client();
      await until(() => accepted() === 2);
      const [served, refused] = bench.accepted.map(({ socket }) => socket);
      assert.deepEqual([served?.isExcess, refused?.isExcess], [false, true]);
      assert.deepEqual(excess, { connectionsExcess: 1, connectionsOverLimit: 1 });
      assert.equal(bench.listener.count, 1);
      refused?.write(Buffer.from('no room'));
      refused?.close(true);
      assert.equal(String(await untilEnd(surplus)), 'no room');
      surplus.destroy();
      await until(() => excess.connectionsExcess === 0);
      first.destroy();
      await until(() => bench.listener.count === 0);
      await client();
      await until(() => accepted() === 3);
      assert.equal(bench.accepted[2]?.socket.isExcess, false);
      assert.equal(bench.log.filter((line) => /connection limit reached/.test(line)).length, 1);
    });

    it('holds 64 of them, and closes the others at once', async () => {
      await client();
      await until(() => accepted() === 1);
      const surplus = [];
      let closed = 0;
      for (let i = 0; i < 70; i++) {
        const socket = await client();
        surplus.push(socket.resume().on('close', () => closed++));
      }
      await until(() => closed === 6 && excess.connectionsOverLimit === 70);
      assert.deepEqual(excess, { connectionsExcess: 64, connectionsOverLimit: 70 });
      assert.equal(bench.listener.count, 1);
      for (const socket of surplus) socket.destroy();
      await until(() => excess.connectionsExcess === 0);
      assert.equal(bench.listener.count, 1);
    });
  });
