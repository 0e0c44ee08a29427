import assert from 'node:assert/strict';
import { runRetained } from '../../src/retained/run.ts';
import { someOf, TOPIC_BYTES, topicOf } from '../../src/retained/topics.ts';

/** A short form of `npm run bench:retained`. */
describe('retained messages by the thousand', function () {
  this.timeout(120_000);

  it('come in every way, once, and again after a restart', async () => {
    const topics = 3000;
    const { steps, full, restarted } = await runRetained({
      nodes: 1,
      topics,
      startArgs: ['--set', 'cluster.shards=16'],
      settleMaxMs: 1000,
      readyMaxMs: 60_000,
      stepMaxMs: 60_000,
      keep: false,
      onStep: () => {},
    });
    const read = steps.filter(({ step }) => step.startsWith('plant/'));
    assert.deepEqual(
      read.map(({ messages }) => messages),
      [topics, topics, topics, topics, someOf(topics), someOf(topics), topics],
    );
    for (const { step, repeated } of read)
      if (!step.includes('hopping')) assert.equal(repeated, 0, step);
    for (const footprint of [full, restarted]) {
      assert.ok(footprint.memory.every((bytes) => bytes > 0));
      assert.ok(footprint.disk.every((bytes) => bytes > topics * TOPIC_BYTES));
    }
    const watched = steps.filter(({ pings }) => pings > 0);
    assert.ok(watched.length >= 8, 'bystanders were answered');
  });

  it('are of 64 bytes, and no two are alike', () => {
    const some = Array.from({ length: 5000 }, (_, i) => topicOf(i));
    assert.equal(new Set(some).size, some.length);
    assert.ok(some.every((topic) => Buffer.byteLength(topic) === TOPIC_BYTES));
    assert.equal(some.filter((topic) => /^plant\/\d+\/device\/0007\//.test(topic)).length, 5);
    assert.equal(someOf(5000), 5);
    assert.equal(someOf(7), 0);
    assert.equal(someOf(8), 1);
  });
});
