import assert from 'node:assert/strict';
import type { SwimErrorCode } from '@shoal/swim';
import { Notices } from './notices.ts';

const SEED = '127.0.0.1:7700';

function bench(isReady = false) {
  const fatal: string[] = [];
  const logged: string[] = [];
  const notices = new Notices({
    told: [SEED],
    isReady: () => isReady,
    fatal: ({ code }) => fatal.push(code),
    log: (_level, message) => logged.push(message),
  });
  const on = (code: SwimErrorCode, address = SEED, nowMs = 0) => notices.on(code, address, nowMs);
  return { on, fatal, logged };
}

describe('notices of membership', () => {
  it('end a joiner whose seed is of another cluster', () => {
    const { on, fatal } = bench();
    on('SWIM_ERR_OTHER_CLUSTER', '127.0.0.1:7701');
    assert.deepEqual(fatal, []);
    on('SWIM_ERR_OTHER_CLUSTER');
    assert.deepEqual(fatal, ['BROKER_ERR_JOIN_OTHER_CLUSTER']);
  });

  it('are only logged when a node that serves meets another cluster', () => {
    const { on, fatal, logged } = bench(true);
    on('SWIM_ERR_OTHER_CLUSTER');
    assert.deepEqual(fatal, []);
    assert.equal(logged.length, 1);
  });

  it('end the later of two processes of one name at once', () => {
    const { on, fatal } = bench();
    on('SWIM_ERR_NAME_CONFLICT');
    assert.deepEqual(fatal, ['BROKER_ERR_NODE_NAME_TAKEN']);
  });

  it('let a node that moved wait for the end of its former life, for 12 s', () => {
    const { on, fatal } = bench();
    on('SWIM_ERR_NAME_TAKEN', SEED, 1000);
    on('SWIM_ERR_NAME_TAKEN', SEED, 12_999);
    assert.deepEqual(fatal, []);
    on('SWIM_ERR_NAME_TAKEN', SEED, 13_000);
    assert.deepEqual(fatal, ['BROKER_ERR_NODE_NAME_TAKEN']);
  });

  it('end a member that cannot refute any more', () => {
    const { on, fatal } = bench(true);
    on('SWIM_ERR_INCARNATION');
    assert.deepEqual(fatal, ['BROKER_ERR_INTERNAL']);
  });

  it('are nothing to the process where they concern others', () => {
    const { on, fatal, logged } = bench();
    on('SWIM_ERR_MALFORMED');
    assert.deepEqual([fatal, logged], [[], []]);
  });
});
