import assert from 'node:assert/strict';
import { SwimAgent } from '../../src/runtime/agent.ts';
import { SwimThread } from '../../src/thread/swim-thread.ts';
import { type Start, stopAll, Watched } from '../watched.ts';

const KINDS: readonly (readonly [string, Start])[] = [
  ['in the main loop', (options) => SwimAgent.start(options)],
  [
    'in a thread',
    (options) =>
      SwimThread.start({
        ...options,
        onFailure: (error) => {
          throw error;
        },
      }),
  ],
];

for (const [where, start] of KINDS) {
  describe(`refusals are told to the owner, ${where}`, () => {
    afterEach(stopAll);

    it('before the member whose host refuses is faulty', async () => {
      const heard: string[] = [];
      const stateOfB = (): string | undefined =>
        a.agent.members().find(({ name }) => name === 'b')?.state;
      const a = await Watched.start(start, {
        name: 'a',
        clusterId: 'one',
        onRefused: ({ name, bootEpoch }) => heard.push(`${name} ${bootEpoch} ${stateOfB()}`),
      });
      const b = await Watched.start(start, { name: 'b', seeds: [a.agent.address] });
      await a.sees({ b: 'alive' });
      await b.stop();
      a.agent.probeNow('b');
      await a.sees({ b: 'faulty' });
      assert.ok(heard.length > 0);
      assert.deepEqual(
        heard.filter((line) => !/^b 1 (alive|suspect)$/.test(line)),
        [],
      );
    }).timeout(20_000);
  });
}
