import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Reader, Writer } from '../../bytes.ts';
import { matches } from '../../mqtt/topic.ts';
import { type FilterChange, readChange, writeChange } from '../link/filter-change.ts';
import { Routes } from './routes.ts';

const TOPICS = ['a', 'a/b', 'a/b/c', 'b', '$SYS/a'];
const FILTERS = [...TOPICS, '#', '+', 'a/#', 'a/+', '+/b', '$SYS/#'];
const NODES = ['n1', 'n2', 'n3'];

function added(filter: string, zeroOnly = false): FilterChange {
  return { filter, zeroOnly, added: true };
}

function removed(filter: string, zeroOnly = false): FilterChange {
  return { filter, zeroOnly, added: false };
}

/** Every (destination, filter) pair as a text, matched one by one. */
class NaiveRoutes {
  readonly any = new Set<string>();
  readonly zero = new Set<string>();
  readonly shards = new Set<string>();
  readonly versions = new Map<number, string>();

  static matching(pairs: Set<string>, topic: string): string[] {
    const found = [...pairs].map((pair) => pair.split(' ') as [string, string]);
    const hit = found.filter(([, filter]) => matches(filter, topic)).map(([name]) => name);
    return [...new Set(hit)].sort();
  }

  match(topic: string) {
    const nodes = NaiveRoutes.matching(this.any, topic);
    const zeroNodes = NaiveRoutes.matching(this.zero, topic).filter((n) => !nodes.includes(n));
    return { nodes, zeroNodes, shards: NaiveRoutes.matching(this.shards, topic).map(Number) };
  }

  static clear(pairs: Set<string>, name: string | number): void {
    for (const pair of pairs) if (pair.startsWith(`${name} `)) pairs.delete(pair);
  }
}

const filter = fc.constantFrom(...FILTERS);
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('node' as const),
      node: fc.constantFrom(...NODES),
      change: fc.record({ filter, zeroOnly: fc.boolean(), added: fc.boolean() }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('shard' as const),
      shard: fc.integer({ min: 0, max: 3 }),
      filter,
      added: fc.boolean(),
    }),
  },
  fc.record({
    type: fc.constant('replace' as const),
    shard: fc.integer({ min: 0, max: 3 }),
    version: fc.string({ maxLength: 3 }),
    filters: fc.array(filter, { maxLength: 5 }),
  }),
  fc.record({ type: fc.constant('clear' as const), node: fc.constantFrom(...NODES) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function applyTo(routes: Routes, model: NaiveRoutes, s: Step): void {
  switch (s.type) {
    case 'node': {
      routes.changeNode(s.node, s.change);
      const pairs = s.change.zeroOnly ? model.zero : model.any;
      pairs[s.change.added ? 'add' : 'delete'](`${s.node} ${s.change.filter}`);
      return;
    }
    case 'shard':
      routes.changeShard(s.shard, s.filter, s.added);
      model.shards[s.added ? 'add' : 'delete'](`${s.shard} ${s.filter}`);
      return;
    case 'replace':
      routes.setShard(s.shard, s.version, s.filters);
      NaiveRoutes.clear(model.shards, s.shard);
      for (const f of s.filters) model.shards.add(`${s.shard} ${f}`);
      model.versions.set(s.shard, s.version);
      return;
    case 'clear':
      routes.clearNode(s.node);
      NaiveRoutes.clear(model.any, s.node);
      NaiveRoutes.clear(model.zero, s.node);
  }
}

describe('Routes', () => {
  it('match as every filter tried one by one, through any changes, cached or not', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const routes = new Routes();
        const model = new NaiveRoutes();
        for (const s of steps) {
          applyTo(routes, model, s);
          assert.equal(routes.size, model.any.size + model.zero.size + model.shards.size);
          for (const topic of TOPICS) {
            const { nodes, zeroNodes, shards } = routes.match(topic);
            const found = {
              nodes: [...nodes].sort(),
              zeroNodes: [...zeroNodes].sort(),
              shards: [...shards].sort(),
            };
            assert.deepEqual(found, model.match(topic), topic);
          }
        }
        for (const shard of [0, 1, 2, 3])
          assert.equal(routes.shardVersion(shard), model.versions.get(shard) ?? '0');
      }),
      { numRuns: 200 },
    );
  });

  it('tell what a node or shard wants, so that another node gets the same', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const routes = new Routes();
        const model = new NaiveRoutes();
        for (const s of steps) applyTo(routes, model, s);
        const other = new Routes();
        for (const node of NODES)
          for (const change of routes.filtersOfNode(node)) other.changeNode(node, change);
        for (const shard of [0, 1, 2, 3]) other.setShard(shard, 'v', routes.filtersOfShard(shard));
        assert.equal(other.size, routes.size);
        for (const topic of TOPICS) {
          const { nodes, zeroNodes, shards } = other.match(topic);
          const found = { nodes: [...nodes].sort(), zeroNodes: [...zeroNodes].sort() };
          assert.deepEqual({ ...found, shards: [...shards].sort() }, model.match(topic));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('send a message once to a node that wants it at QoS 0 and at any QoS', () => {
    const routes = new Routes();
    routes.changeNode('n1', added('a/#', true));
    assert.deepEqual(routes.match('a/b'), { nodes: [], zeroNodes: ['n1'], shards: [], groups: [] });
    routes.changeNode('n1', added('a/b'));
    assert.deepEqual(routes.match('a/b'), { nodes: ['n1'], zeroNodes: [], shards: [], groups: [] });
    routes.changeNode('n1', removed('a/b'));
    assert.deepEqual(routes.match('a/b'), { nodes: [], zeroNodes: ['n1'], shards: [], groups: [] });
  });

  it('replace the filters of a shard whole, and of no other', () => {
    const routes = new Routes();
    routes.setShard(1, '3.a#1.9', ['a', 'b/#', 'a']);
    routes.changeShard(2, 'a', true);
    routes.setShard(1, '4.b#1.2', ['b/#', 'c']);
    assert.deepEqual(routes.match('a').shards, [2]);
    assert.deepEqual(routes.match('b/x').shards, [1]);
    assert.deepEqual(routes.match('c').shards, [1]);
    assert.deepEqual(routes.filtersOfShard(1).sort(), ['b/#', 'c']);
    assert.deepEqual([routes.shardVersion(1), routes.shardVersion(2)], ['4.b#1.2', '0']);
    routes.setShardVersion(2, 'x');
    assert.equal(routes.shardVersion(2), 'x');
  });

  it('keep a cached match for as long as only other topics change', () => {
    const routes = new Routes();
    routes.changeNode('n1', added('a'));
    const cached = routes.match('a');
    routes.changeNode('n2', added('b'));
    assert.equal(routes.match('a'), cached);
    // What is there already is no change, whatever wildcards it has.
    routes.changeNode('n2', removed('#'));
    assert.equal(routes.match('a'), cached);
    routes.changeNode('n2', added('#'));
    assert.deepEqual(routes.match('a').nodes.toSorted(), ['n1', 'n2']);
  });
});

describe('changes of routes', () => {
  it('round-trip', () => {
    const change = fc.record({
      added: fc.boolean(),
      zeroOnly: fc.boolean(),
      filter: fc.string({ unit: 'grapheme' }),
    });
    fc.assert(
      fc.property(change, (c) => {
        const w = new Writer();
        writeChange(w, c);
        const r = new Reader(w.take());
        assert.deepEqual(readChange(r), structuredClone(c));
        assert.equal(r.done, true);
      }),
    );
  });
});
