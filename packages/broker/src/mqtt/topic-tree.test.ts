import assert from 'node:assert/strict';
import { TOPIC_LEVELS_MAX } from './topic.ts';
import { TopicTree } from './topic-tree.ts';

function matched(tree: TopicTree<string>, topic: string): string[] {
  const found: string[] = [];
  tree.match(topic, (value, filter) => found.push(`${value}:${filter}`));
  return found;
}

describe('TopicTree', () => {
  it('visits exact and wildcard subscriptions with their filters', () => {
    const tree = new TopicTree<string>();
    for (const filter of ['a/b', 'a/+', '#', 'a/#', '+/b', 'a/b/#', 'a/c', '+']) {
      assert.equal(tree.add(filter, 'x'), true);
    }
    assert.deepEqual(matched(tree, 'a/b').sort(), [
      'x:#',
      'x:+/b',
      'x:a/#',
      'x:a/+',
      'x:a/b',
      'x:a/b/#',
    ]);
    assert.deepEqual(matched(tree, 'a').sort(), ['x:#', 'x:+', 'x:a/#']);
    assert.equal(tree.size, 8);
    assert.equal(tree.wildcardFilters, 6);
  });

  it('[MQTT-4.7.2-1] keeps leading wildcards away from $ topics', () => {
    const tree = new TopicTree<string>();
    for (const filter of ['#', '+/x', '$SYS/#', '$SYS/+']) tree.add(filter, 'v');
    assert.deepEqual(matched(tree, '$SYS/x').sort(), ['v:$SYS/#', 'v:$SYS/+']);
  });

  it('subscribes a value to a filter once', () => {
    const tree = new TopicTree<string>();
    for (const filter of ['a', 'a/+']) {
      assert.equal(tree.add(filter, 'x'), true);
      assert.equal(tree.add(filter, 'x'), false);
      assert.equal(tree.remove(filter, 'y'), false);
      assert.equal(tree.remove(filter, 'x'), true);
      assert.equal(tree.remove(filter, 'x'), false);
    }
    assert.equal(tree.size, 0);
  });

  it('keeps many subscribers of one filter in order, through growth and removal', () => {
    for (const filter of ['t', '+']) {
      const tree = new TopicTree<number>();
      const values = Array.from({ length: 40 }, (_, i) => i);
      for (const value of values) assert.equal(tree.add(filter, value), true);
      for (const value of values) assert.equal(tree.add(filter, value), false);
      for (let left = 40; left > 0; left--) {
        const seen: number[] = [];
        tree.match('t', (value) => seen.push(value));
        assert.deepEqual(seen, values.slice(40 - left));
        assert.equal(tree.remove(filter, 1000), false);
        assert.equal(tree.remove(filter, 40 - left), true);
      }
      assert.equal(tree.has(filter), false);
      assert.equal(tree.size, 0);
    }
  });

  it('lists its filters and forgets them', () => {
    const tree = new TopicTree<string>();
    for (const filter of ['b', 'a/+', 'a', '#', 'a/+/c']) tree.add(filter, 'x');
    assert.deepEqual([...tree.filters()], ['b', 'a', 'a/+', 'a/+/c', '#']);
    tree.remove('a/+', 'x');
    assert.equal(tree.has('a/+'), false);
    assert.equal(tree.has('a/+/c'), true);
    tree.clear();
    assert.deepEqual([...tree.filters()], []);
    assert.deepEqual(matched(tree, 'a'), []);
  });

  it('takes the deepest filter that is valid', () => {
    const tree = new TopicTree<string>();
    const levels = TOPIC_LEVELS_MAX - 1;
    tree.add(`${'+/'.repeat(levels)}#`, 'x');
    assert.equal(matched(tree, 'a/'.repeat(levels)).length, 1);
  });
});
