/** Any history of operations: copies agree, nothing is lost or kept, wills fire at most once. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Entry, encodeEntry } from '../shard/log.ts';
import type { Message } from './message.ts';
import { type Operation, writeOperation } from './operation.ts';
import { NEVER_EXPIRES } from './session.ts';
import { ShardState } from './shard-state.ts';

/** Long ones stand in entries by their birth alone. */
const nameOf = (client: number) => (client === 2 ? 'c2'.padEnd(200, '-') : `c${client}`);

/** Small numbers, resolved against the state as it is: what they mean depends on what happened. */
interface Step {
  readonly type: Operation['type'];
  readonly client: number;
  /** Mostly of the session as it is; else of one that ended, or of an older connection. */
  readonly stale: boolean;
  readonly a: number;
  readonly b: number;
}

const TYPES: readonly Operation['type'][] = [
  'open',
  'open',
  'close',
  'sub',
  'unsub',
  'enq',
  'enq',
  'retained-done',
  'ack',
  'ack',
  'assign',
  'rx2',
  'rx2done',
  'enqd',
  'will',
  'retain',
  'tick',
  'expire',
  'group',
  'group',
  'bind',
  'unbind',
  'groupdone',
  'refuse',
  'returned',
];
const BEGINNING: readonly Step[] = [
  ...[0, 1, 2].map((client) => ({ type: 'open' as const, client, stale: false, a: 1, b: 2 })),
  ...[0, 1, 2].map((b) => ({ type: 'enq' as const, client: 0, stale: false, a: 7, b })),
];
const step: fc.Arbitrary<Step> = fc.record({
  type: fc.constantFrom(...TYPES),
  client: fc.integer({ min: 0, max: 2 }),
  stale: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  a: fc.integer({ min: 0, max: 7 }),
  b: fc.integer({ min: 0, max: 7 }),
});
/** Most begin with three sessions that last and messages for all, so that there is something to lose. */
const steps = fc
  .tuple(fc.boolean(), fc.array(step, { maxLength: 60 }))
  .map(([bare, later]) => (bare ? later : [...BEGINNING, ...later]));

const GROUPS = ['$share/g/t/#', '$share/h/t/0'] as const;

function message(a: number, b: number): Message {
  return {
    topic: `t/${a % 3}`,
    payload: new Uint8Array(b % 3),
    qos: 1,
    retain: a % 2 === 0,
    hlc: 100 + b,
    expiresAtMs: 0,
    properties: new Uint8Array(0),
    publisher: 'p',
  };
}

function toOperation(state: ShardState, { type, client, stale, a, b }: Step): Operation {
  const clientId = nameOf(client);
  const s = state.sessions.get(clientId);
  const epoch = stale ? 1 : (s?.epoch ?? 1);
  const birth = stale ? 1 : (s?.birth ?? 1);
  const position = (s?.front ?? 0) + (a < 4 ? 0 : a - 4);
  const rx2 = b < 4 ? null : { shard: b, index: a, low: a >> 1 };
  switch (type) {
    case 'open':
      return {
        type,
        clientId,
        cleanStart: a === 0 && b > 3,
        hlc: b,
        expirySeconds: [0, 5, 60, NEVER_EXPIRES][b % 4]!,
        gateway: `n${a % 2}`,
        gatewayEpoch: b,
        connection: 1 + a,
        version: 5,
        user: '',
        will:
          a % 2 === 0 ? null : { message: message(a, 1), delaySeconds: b % 3, expirySeconds: -1 },
        sentUpto: b - 1,
      };
    case 'close': {
      const expirySeconds = [-1, -1, 0, 30][a % 4]!;
      const elapsedMs = 100 * b;
      return {
        type,
        clientId,
        epoch,
        abnormal: b % 3 > 0,
        graceMs: a % 3 === 0 ? 1000 : 0,
        expirySeconds,
        sentUpto: b - 1,
        elapsedMs,
      };
    }
    case 'sub': {
      const options = { noLocal: false, retainAsPublished: b > 3, identifier: a };
      const subscriptions = [a, b].map((n) => ({
        ...options,
        filter: ['t/0', 't/+', '#', 'x/y'][n % 4]!,
        qos: (n % 3) as 0 | 1 | 2,
        retainHandling: ((n >> 1) % 3) as 0 | 1 | 2,
      }));
      return { type, clientId, epoch, subscriptions: subscriptions.slice(0, 1 + (b % 2)) };
    }
    case 'unsub':
      return { type, clientId, epoch, filters: a < 4 ? ['t/0'] : ['t/+', '#', 'nothing'] };
    case 'enq': {
      const sessions = [...state.sessions.values()].filter((_, i) => a & (1 << i));
      const recipients = sessions.map((other) => {
        return { clientId: other.clientId, birth: other.birth, qos: 1 as const };
      });
      if (stale) recipients.push({ clientId: 'gone', birth: 1, qos: 1 });
      const wanted = recipients.map((t) => ({ ...t, retain: false, identifiers: [b] }));
      const enq = { type, rx2, message: message(a, b), retained: b === 0 };
      if (b < 6 || wanted.length === 0) return { ...enq, recipients: wanted };
      return { ...enq, recipients: wanted.slice(0, 1), group: GROUPS[0] };
    }
    case 'retained-done':
      return { type, clientId, birth, index: s?.retaining ?? 1 };
    case 'ack': {
      const kind = (['puback', 'puback', 'pubrec', 'pubcomp'] as const)[b % 4]!;
      return {
        type,
        items: [0, b >> 2].map((n) => ({ clientId, epoch, kind, position: position + n })),
      };
    }
    case 'assign':
      return { type, clientId, epoch, upto: position + b * 500 };
    case 'skip':
      return { type, clientId, epoch, position: position + (a % 8), count: 1 + (b % 4) };
    case 'rx2':
      return { type, clientId, epoch, packetId: 1 + (a % 3), message: message(a, b) };
    case 'rx2done':
      return { type, clientId, epoch, packetId: 1 + (a % 3) };
    case 'enqd':
      return { type, indexes: [...state.owed.keys()].filter((_, i) => (a >> i) % 2 === 1) };
    case 'will':
    case 'expire':
      return { type, clientId, birth };
    case 'retain':
      return { type, rx2, message: message(a, b) };
    case 'tick':
      return { type, elapsedMs: a * 1000 };
    case 'group':
      return {
        type,
        rx2,
        groups: GROUPS.slice(0, 1 + (a % 2)),
        ingress: 'n',
        message: message(a, b),
      };
    case 'bind': {
      const to = b < 4 ? null : { node: 'n', bootEpoch: 1, connection: b };
      return { type, ...grouped(state, a), clientId, to };
    }
    case 'unbind':
      return { type, ...grouped(state, a) };
    case 'groupdone': {
      const { group, index } = grouped(state, a);
      return { type, items: [{ group, indexes: [index, index + b] }] };
    }
    case 'refuse':
      return { type, rx2: { shard: b, index: a, low: a >> 1 } };
    case 'returned':
      return {
        type,
        numbers: [...state.returned.byNumber.keys()].filter((n) => (n + a) % 2 === 0),
      };
  }
}

/** Some message that waits for a group. */
function grouped(state: ShardState, a: number): { group: string; index: number } {
  const group = GROUPS[a % 2]!;
  const indexes = [...(state.groups.get(group)?.messages.keys() ?? [1])];
  return { group, index: indexes[a % indexes.length]! };
}

/** Next entry of the log that `state` has applied so far. */
function toEntry(state: ShardState, index: number, s: Step): Entry {
  const operation = toOperation(state, s);
  const origin = s.b < 4 ? null : { node: `n${s.b}`, bootEpoch: 1, sequence: index };
  const number = { counter: 1 + (index >> 4), leader: 'a#1', bootEpoch: 1 };
  return encodeEntry(index, number, 100 + index, (w) => writeOperation(w, operation, origin));
}

/** Read off what anybody can see, without counting. */
function referred(state: ShardState): Set<number> {
  const found = new Set<number>();
  for (const s of state.sessions.values()) {
    for (let position = s.front; position < s.tail; position++) found.add(s.refAt(position));
    found.add(s.willIndex);
  }
  for (const index of state.retained.indexes()) found.add(index);
  for (const { messageIndex } of state.owed.values()) found.add(messageIndex);
  for (const { messages } of state.groups.byKey.values())
    for (const index of messages.keys()) found.add(index);
  for (const { messageIndex } of state.returned.byNumber.values()) found.add(messageIndex);
  found.delete(0);
  return found;
}

/** Whatever a leader reads, besides what is encoded. */
function derived(state: ShardState): unknown {
  const subscriptions: string[] = [];
  for (const topic of ['t/0', 't/1', 'x/y'])
    state.tree.match(topic, ({ session, filter, qos, since }) =>
      subscriptions.push([topic, session.clientId, filter, qos, since].join()),
    );
  return {
    subscriptions: subscriptions.sort(),
    filters: [...state.filters].sort(),
    routeVersion: state.routeVersion,
    topics: [...state.retained.topics].sort(),
    dated: [...state.dated].map((s) => s.clientId).sort(),
    live: state.liveIndexes(),
    groups: [...state.groups.byKey.values()].map(({ key, messages, bytes }) => [
      key,
      [...messages].map(([index, { bound }]) => [index, bound]),
      bytes,
    ]),
    lowestBind: state.groups.lowestBind(0),
    given: [...state.given],
    returned: [[...state.returned.byNumber], state.returned.low],
    queuedBytes: state.bytes.queued,
    hlc: state.hlc,
    clockMs: state.clockMs,
  };
}

describe('the state of a shard through any history', () => {
  it('frees exactly the entries that nothing refers to any more, each once, and knows all deadlines', () => {
    fc.assert(
      fc.property(steps, (history) => {
        const state = new ShardState();
        let live = new Set<number>();
        history.forEach((s, i) => {
          const index = i + 1;
          state.apply(toEntry(state, index, s));
          const after = referred(state);
          const expected = [...live, index].filter((held) => !after.has(held));
          assert.deepEqual(
            state.takeFreed().sort((x, y) => x - y),
            expected.sort((x, y) => x - y),
          );
          assert.deepEqual(
            state.liveIndexes(),
            [...after].sort((x, y) => x - y),
          );
          live = after;
          // Whoever leads looks for deadlines there, and only there.
          const due = [...state.sessions.values()].filter((x) => x.expiresAtMs + x.willAtMs > 0);
          assert.deepEqual(state.dated, new Set(due));
          for (const x of due) assert.equal(x.connected, false);
        });
        assert.deepEqual(state.takeFreed(), []);
      }),
      { numRuns: 1000 },
    );
  });

  it('routes exactly the persistent subscriptions of QoS 1 and 2', () => {
    fc.assert(
      fc.property(steps, (history) => {
        const state = new ShardState();
        const announced = new Set<string>();
        const nothing = () => {};
        state.observer = {
          onFilter(filter, added) {
            assert.notEqual(announced.has(filter), added, filter);
            if (added) announced.add(filter);
            else announced.delete(filter);
          },
          onQueued: nothing,
          onClosed: nothing,
          onOwed: nothing,
          onGrouped: nothing,
          onReturned: nothing,
          onEnded: nothing,
        };
        history.forEach((s, i) => {
          const version = state.routeVersion;
          const before = [...announced].sort();
          state.apply(toEntry(state, i + 1, s));
          const held = [...state.sessions.values()].flatMap((x) => [
            ...(x.subscriptions?.values() ?? []),
          ]);
          const routed = held.filter((sub) => sub.qos > 0);
          assert.equal(state.tree.size, held.length);
          const filters = [...new Set(routed.map((sub) => sub.filter))].sort();
          assert.deepEqual([...state.filters.keys()].sort(), filters);
          assert.deepEqual([...announced].sort(), filters);
          // Equal versions are equal sets.
          if (state.routeVersion === version) assert.deepEqual(filters, before);
        });
      }),
      { numRuns: 300 },
    );
  });

  it('fires the will of an OPEN at most once, and never after DISCONNECT: §9.8', () => {
    fc.assert(
      fc.property(steps, (history) => {
        const state = new ShardState();
        const over = new Set<number>();
        const nothing = () => {};
        state.observer = {
          onFilter: nothing,
          onQueued: nothing,
          onClosed: nothing,
          onEnded: nothing,
          onGrouped: nothing,
          onReturned: nothing,
          onOwed(_, { messageIndex, will }) {
            if (!will) return;
            assert.ok(messageIndex > 0);
            assert.equal(over.has(messageIndex), false, `will of ${messageIndex}`);
            over.add(messageIndex);
          },
        };
        history.forEach((s, i) => {
          const held = state.sessions.get(nameOf(s.client));
          const will = held?.willIndex ?? 0;
          const op = toOperation(state, s);
          const wasLive = held?.connected && op.type === 'close' && op.epoch === held.epoch;
          state.apply(toEntry(state, i + 1, s));
          if (!wasLive || op.abnormal || will === 0) return;
          assert.equal(over.has(will), false, `will of ${will}`);
          over.add(will);
        });
      }),
      { numRuns: 300 },
    );
  });

  it('restored from its encoding encodes to equal bytes, and goes on as the original does: §9.11', () => {
    fc.assert(
      fc.property(steps, steps, (before, after) => {
        const state = new ShardState();
        before.forEach((s, i) => {
          state.apply(toEntry(state, i + 1, s));
        });
        state.takeFreed();
        const copy = new ShardState();
        // A copy that held something else before takes nothing of it along.
        copy.apply(toEntry(copy, 1, { type: 'retain', client: 0, stale: false, a: 5, b: 7 }));
        const bytes = state.encode();
        copy.restore(bytes);
        assert.deepEqual(copy.encode(), bytes);
        assert.deepEqual(copy.takeFreed(), []);
        assert.deepEqual(derived(copy), derived(state));
        after.forEach((s, i) => {
          const entry = toEntry(state, before.length + i + 1, s);
          state.apply(entry);
          copy.apply(entry);
          assert.deepEqual(copy.takeFreed(), state.takeFreed());
        });
        assert.deepEqual(copy.encode(), state.encode());
        assert.deepEqual(derived(copy), derived(state));
      }),
      { numRuns: 500 },
    );
  });

  it('reset is new', () => {
    fc.assert(
      fc.property(steps, (history) => {
        const state = new ShardState();
        history.forEach((s, i) => {
          state.apply(toEntry(state, i + 1, s));
        });
        state.reset();
        assert.deepEqual(state.encode(), new ShardState().encode());
        assert.deepEqual(derived(state), derived(new ShardState()));
        assert.deepEqual(state.takeFreed(), []);
      }),
      { numRuns: 100 },
    );
  });
});
