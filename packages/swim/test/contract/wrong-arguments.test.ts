import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { swimConfig } from '../../src/config.ts';
import { SwimError } from '../../src/errors.ts';
import { SwimAgent } from '../../src/runtime/agent.ts';
import type { SwimAgentOptions } from '../../src/runtime/agent-options.ts';
import { SwimThread } from '../../src/thread/swim-thread.ts';
import { type Start, stopAll, Watched } from '../watched.ts';

/** As callers without a type checker give them; each is refused with a SwimError that names the option. */
const WRONG: Readonly<Record<string, readonly unknown[]>> = {
  name: [undefined, null, '', 5, {}, 'x'.repeat(200), '\ud800', 'a\udc00b'],
  bootEpoch: [undefined, null, Number.NaN, -1, 1.5, 2 ** 53, Number.POSITIVE_INFINITY, '1', 5n],
  clusterId: [null, 5, {}, 'x'.repeat(200), '\ud800'],
  listen: [undefined, null, '', 5, 'x', '127.0.0.1', '127.0.0.1:99999', '127.0.0.1:1.5'],
  advertise: ['x', 5, null, '127.0.0.1:99999'],
  meta: ['x', null, 5, [1, 2], new Uint8Array(600)],
  seeds: ['127.0.0.1:1', null, 5, {}, [5], [null], ['x']],
  discovery: ['x', null, [5], ['nope:x']],
  discoveries: [5, null, [null], [{}], [{ open: 5 }]],
  keyring: ['x', null, {}, [5], [new Uint8Array(5)]],
  encryption: ['x', 5, null, 'requried'],
  insecure: ['x', 'false', 1, null],
  stateFile: [5, null, {}],
  config: [null, 5, 'x', [], { protocolPeriodMs: Number.NaN }, { silenceMs: '5' }, { nope: 1 }],
  transport: [5, {}, null],
  ...Object.fromEntries(
    ['Members', 'View', 'Event', 'Join', 'Leave', 'Update', 'ClusterId', 'Notice', 'BootEpoch']
      .map((name) => `on${name}`)
      .concat('onKeyring', 'onForeignStream', 'log', 'hostOf')
      .map((name) => [name, [5, 'x', {}, null]]),
  ),
};

/** What cannot be given to a thread at all. */
const NOT_FOR_THREADS = ['transport', 'hostOf', 'discoveries'];

function describeArguments(title: string, begin: Start, names: readonly string[]): void {
  describe(`wrong arguments, ${title}`, function () {
    this.timeout(60_000);
    afterEach(stopAll);

    const right = { name: 'a', bootEpoch: 1, clusterId: 'c', listen: '127.0.0.1:0' };

    for (const name of names) {
      it(`${name} of a wrong type or out of range is refused at the start`, async () => {
        for (const value of WRONG[name] ?? []) {
          const options = { ...right, config: swimConfig({}, 'test'), [name]: value };
          const started = begin(options as unknown as SwimAgentOptions);
          // What starts in spite of it is stopped, so that the test says so and ends.
          const outcome = await started.then(
            async (agent) => await agent.stop(),
            (error: unknown) => error,
          );
          assert.ok(outcome instanceof SwimError, `${name} ${String(value)}: ${String(outcome)}`);
        }
      });
    }

    it('none at all is refused, too', async () => {
      for (const options of [undefined, null, 5, 'x', []]) {
        await assert.rejects(begin(options as unknown as SwimAgentOptions), SwimError);
      }
    });

    it('a wrong boot epoch leaves no state file behind', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'swim-arguments-'));
      try {
        for (const bootEpoch of [Number.NaN, -1, 2 ** 53, '5']) {
          const options = { ...right, bootEpoch, stateFile: join(folder, 'epoch') };
          await assert.rejects(begin(options as unknown as SwimAgentOptions), SwimError);
          assert.deepEqual(await readdir(folder), []);
        }
      } finally {
        await rm(folder, { recursive: true });
      }
    });

    it('those of calls are refused, and nothing of them spreads', async () => {
      const a = await Watched.start(begin, { name: 'a', clusterId: 'c' });
      const b = await Watched.start(begin, { name: 'b', seeds: [a.agent.address] });
      await a.sees({ b: 'alive' });
      for (const meta of ['x', undefined, null, [1], new Uint8Array(600)]) {
        assert.throws(() => a.agent.setMeta(meta as Uint8Array), SwimError, String(meta));
      }
      for (const unwell of ['x', 1, undefined, null]) {
        assert.throws(
          () => a.agent.setUnwell(unwell as unknown as boolean),
          SwimError,
          String(unwell),
        );
      }
      for (const name of ['', 5, undefined, null, '\ud800', 'x'.repeat(100)]) {
        await assert.rejects(a.agent.broadcast(name as string), SwimError, String(name));
      }
      for (const payload of ['x', null, [1], 5, new Uint8Array(600)]) {
        await assert.rejects(a.agent.broadcast('e', payload as Uint8Array), SwimError);
      }
      for (const address of [undefined, null, 5, 'x', '']) {
        await assert.rejects(a.agent.join(address as string), SwimError, String(address));
      }
      for (const key of [undefined, null, 'x', 5]) {
        await assert.rejects(a.agent.keyring.install(key as unknown as Uint8Array), SwimError);
      }
      for (const name of [undefined, null, 5, 'nobody']) {
        a.agent.probeNow(name as string);
        a.agent.reportEnd(name as string);
        assert.equal(await a.agent.forceLeave(name as string), false);
      }
      for (const epoch of [Number.NaN, -1, '1', null]) a.agent.reportEnd('b', epoch as number);
      a.agent.setMeta(Uint8Array.of(7));
      const isTold = (members: readonly { name: string; meta: Uint8Array; unwell: boolean }[]) =>
        members.some(({ name, meta, unwell }) => name === 'a' && meta[0] === 7 && !unwell);
      await b.until(isTold);
      for (const node of [a, b]) await node.sees({ a: 'alive', b: 'alive' });
    });
  });
}

const ALL_NAMES = Object.keys(WRONG);
describeArguments('in the main loop', (options) => SwimAgent.start(options), ALL_NAMES);
describeArguments(
  'in a thread',
  (options) => SwimThread.start({ onFailure: () => {}, ...options }),
  ALL_NAMES.filter((name) => !NOT_FOR_THREADS.includes(name)),
);
