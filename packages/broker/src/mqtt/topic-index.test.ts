import assert from 'node:assert/strict';
import { FilterSet } from './filter-set.ts';
import { TopicIndex } from './topic-index.ts';

function found(index: TopicIndex, ...filters: string[]): string[] {
  const topics: string[] = [];
  index.search(new FilterSet(filters), '', Number.POSITIVE_INFINITY, (t) => {
    topics.push(t);
    return true;
  });
  return topics;
}

describe('TopicIndex', () => {
  it('finds the topics that filters match, in order and once each', () => {
    const index = new TopicIndex();
    for (const topic of ['b/', 'a', 'a/b/c', 'a/b', '/a', '$SYS/x', 'a-b/c', 'a/!']) {
      assert.equal(index.add(topic), true);
      assert.equal(index.add(topic), false);
    }
    assert.deepEqual(found(index, '#'), ['/a', 'a', 'a-b/c', 'a/!', 'a/b', 'a/b/c', 'b/']);
    assert.deepEqual(found(index, 'a/#'), ['a', 'a/!', 'a/b', 'a/b/c']);
    assert.deepEqual(found(index, '+/+'), ['/a', 'a-b/c', 'a/!', 'a/b', 'b/']);
    assert.deepEqual(found(index, 'a/b'), ['a/b']);
    assert.deepEqual(found(index, '$SYS/#'), ['$SYS/x']);
    assert.deepEqual(found(index, '$SYS/#', '+/b'), ['$SYS/x', 'a/b']);
    assert.deepEqual(found(index, '+/x'), []);
    assert.deepEqual(found(index, 'a/+/c', 'a-b/+', 'a/b'), ['a-b/c', 'a/b', 'a/b/c']);
  });

  it('forgets deleted topics and keeps those below them', () => {
    const index = new TopicIndex();
    index.add('a');
    index.add('a/b');
    assert.equal(index.delete('a'), true);
    assert.equal(index.delete('a'), false);
    assert.equal(index.delete('a/b/c'), false);
    assert.equal(index.has('a'), false);
    assert.deepEqual(found(index, '#'), ['a/b']);
    assert.equal(index.size, 1);
    index.clear();
    assert.deepEqual(found(index, '#'), []);
  });

  it('stays in order and complete through growth and decay', () => {
    const index = new TopicIndex();
    const topics = Array.from({ length: 5000 }, (_, i) => `t/${(i * 7919) % 5000}`);
    for (const topic of topics) index.add(topic);
    assert.deepEqual([...index], [...topics].sort());
    for (const topic of topics.slice(0, 4900)) assert.ok(index.delete(topic));
    assert.deepEqual([...index], topics.slice(4900).sort());
    for (const topic of topics.slice(4900)) assert.ok(index.delete(topic));
    assert.deepEqual(index, new TopicIndex());
  });

  it('looks at topics and filters once, not at each filter for each topic', () => {
    const index = new TopicIndex();
    for (let i = 0; i < 3000; i++) index.add(`site/${i % 50}/dev/${i}/state`);
    const steps = (filters: readonly string[]) => {
      const set = new FilterSet(filters);
      index.search(set, '', Number.POSITIVE_INFINITY, () => true);
      return set.steps;
    };
    const many = Array.from({ length: 10_000 }, (_, i) => `site/+/dev/+/x${i}`);
    assert.ok(steps(many) < 10 * 3000, `${steps(many)} steps`);
    // What cannot match is leapt over.
    assert.ok(steps(['site/7/#']) < 200, `${steps(['site/7/#'])} steps`);
    assert.ok(steps(['site/7/dev/7/state']) < 30, `${steps(['site/7/dev/7/state'])} steps`);
    assert.ok(steps(['zone/#']) < 30);
  });
});
