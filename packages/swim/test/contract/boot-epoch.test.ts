import assert from 'node:assert/strict';
import { SwimAgent } from '../../src/runtime/agent.ts';
import { SwimThread } from '../../src/thread/swim-thread.ts';
import { type Start, stopAll, Watched } from '../watched.ts';

function describeEpochs(title: string, begin: Start): void {
  describe(`boot epochs, ${title}`, function () {
    this.timeout(20_000);
    const watch = (options: Parameters<typeof Watched.start>[1]) => Watched.start(begin, options);
    afterEach(stopAll);

    it('is back under a later boot epoch, though its owner cannot keep that at first', async () => {
      const a = await watch({ name: 'a', clusterId: 'one' });
      const b = await watch({ name: 'b', bootEpoch: 1_000, seeds: [a.agent.address] });
      await a.sees({ b: 'alive' });
      await b.agent.stop();
      let tries = 0;
      const onBootEpoch = async (): Promise<void> => {
        tries++;
        if (tries < 3) throw new Error('the disk is full');
      };
      const problems: string[] = [];
      const reborn = await watch({
        name: 'b',
        bootEpoch: 5,
        listen: b.agent.address,
        seeds: [a.agent.address],
        onBootEpoch,
        log: (level, message) => void (level === 'error' && problems.push(message)),
      });
      await a.until((members) =>
        members.some(
          ({ name, state, bootEpoch }) => name === 'b' && state === 'alive' && bootEpoch === 1_001,
        ),
      );
      await reborn.sees({ a: 'alive' });
      assert.equal(tries, 3);
      assert.ok(
        problems.length >= 2 && problems.every((text) => /boot epoch/.test(text)),
        problems.join(),
      );
    });
  });
}

describeEpochs('in the main loop', (options) => SwimAgent.start(options));
describeEpochs('in a thread', (options) =>
  SwimThread.start({ onFailure: () => assert.fail('the thread ended'), ...options }),
);
