/** The topic tree and the topic index against the plain matcher. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FilterSet } from '../../src/mqtt/filter-set.ts';
import { isTopicFilter, isTopicName, matches } from '../../src/mqtt/topic.ts';
import { TopicIndex } from '../../src/mqtt/topic-index.ts';
import { TopicTree } from '../../src/mqtt/topic-tree.ts';

// Few words, so that filters and topics meet.
const word = fc.constantFrom('a', 'b', 'c', '', '$SYS', 'ü', 'a-', 'a0');
const topic = fc
  .array(word, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join('/'))
  .filter(isTopicName);
const filter = fc
  .tuple(
    fc.array(fc.oneof(word, fc.constant('+')), { maxLength: 4 }),
    fc.constantFrom('', 'a', '#', '#'),
  )
  .map(([levels, last]) => (last === '' ? levels : [...levels, last]).join('/'))
  .filter(isTopicFilter);

const change = fc.record({
  add: fc.boolean(),
  filter,
  // More values than a list holds, so that lists become sets and back.
  value: fc.integer({ min: 0, max: 11 }),
});

describe('TopicTree', () => {
  it('matches as the plain matcher does, through any additions and removals', () => {
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 60 }),
        fc.array(topic, { minLength: 1, maxLength: 5 }),
        (changes, topics) => {
          const tree = new TopicTree<number>();
          const model = new Set<string>();
          for (const { add, filter: f, value } of changes) {
            const key = `${value}:${f}`;
            const changed = add ? tree.add(f, value) : tree.remove(f, value);
            assert.equal(changed, add !== model.has(key));
            if (add) model.add(key);
            else model.delete(key);
          }
          assert.equal(tree.size, model.size);
          const filters = new Set([...model].map((key) => key.slice(key.indexOf(':') + 1)));
          assert.deepEqual([...tree.filters()].sort(), [...filters].sort());
          for (const t of topics) {
            const found: string[] = [];
            tree.match(t, (value, f) => found.push(`${value}:${f}`));
            const expected = [...model].filter((key) =>
              matches(key.slice(key.indexOf(':') + 1), t),
            );
            assert.deepEqual(found.sort(), expected.sort());
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('is empty inside once everything is removed', () => {
    fc.assert(
      fc.property(fc.array(filter, { maxLength: 30 }), (filters) => {
        const tree = new TopicTree<string>();
        const unique = [...new Set(filters)];
        for (const f of unique) tree.add(f, 'x');
        for (const f of unique.reverse()) assert.equal(tree.remove(f, 'x'), true);
        assert.deepEqual(tree, new TopicTree<string>());
      }),
      { numRuns: 500 },
    );
  });
});

function searched(index: TopicIndex, wanted: readonly string[], steps: number): string[] {
  const found: string[] = [];
  const filters = new FilterSet(wanted);
  let from: string | undefined = '';
  while (from !== undefined) {
    from = index.search(filters, from, steps, (t) => {
      found.push(t);
      return steps > 1;
    });
  }
  return found;
}

describe('TopicIndex', () => {
  it('finds as the plain matcher does, through any additions and removals', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), topic), { maxLength: 60 }),
        fc.array(filter, { minLength: 1, maxLength: 5 }),
        (changes, filters) => {
          const index = new TopicIndex();
          const model = new Set<string>();
          for (const [add, t] of changes) {
            assert.equal(add ? index.add(t) : index.delete(t), add !== model.has(t));
            if (add) model.add(t);
            else model.delete(t);
          }
          assert.equal(index.size, model.size);
          assert.deepEqual([...index], [...model].sort());
          const expected = (wanted: readonly string[]) =>
            [...model].filter((t) => wanted.some((f) => matches(f, t))).sort();
          for (const wanted of [filters, ...filters.map((f) => [f])]) {
            assert.deepEqual(searched(index, wanted, 1000), expected(wanted));
            // Slice by slice, as long work is done.
            assert.deepEqual(searched(index, wanted, 1), expected(wanted));
          }
          for (const t of model) index.delete(t);
          assert.deepEqual(index, new TopicIndex());
        },
      ),
      { numRuns: 2000 },
    );
  });
});
