import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Reader, Writer } from '../bytes.ts';
import { PACKET_IDS, packetIdOf, Session, type Subscription } from './session.ts';
import { readQueueBytes, readSession, writeQueueBytes, writeSession } from './session-codec.ts';

function copyOf(s: Session): Session {
  const w = new Writer();
  writeSession(w, s);
  writeQueueBytes(w, s);
  const r = new Reader(w.take());
  const copy = readSession(r);
  readQueueBytes(r, copy);
  assert.ok(r.done);
  return copy;
}

describe('packetIdOf', () => {
  it('is never 0 and at most 65535 [MQTT-2.2.1-4]', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (position) => {
        const id = packetIdOf(position);
        assert.ok(id >= 1 && id <= 65535, `${id}`);
      }),
    );
    assert.deepEqual([0, 65534, 65535].map(packetIdOf), [1, 65535, 1]);
  });

  it('differs within any window of 65535 positions: none is in use twice [MQTT-2.2.1-4]', () => {
    const from = 123_456_789;
    const used = new Set(Array.from({ length: PACKET_IDS }, (_, i) => packetIdOf(from + i)));
    assert.equal(used.size, PACKET_IDS);
  });
});

/** The queue as one would write it down: every position ever, null once settled. */
class NaiveQueue {
  readonly all: (number | null)[] = [];

  get front(): number {
    const at = this.all.findIndex((ref) => ref !== null);
    return at < 0 ? this.all.length : at;
  }

  get refs(): number[] {
    return this.all.slice(this.front).map((ref) => ref ?? 0);
  }
}

function assertEqual(s: Session, model: NaiveQueue): void {
  assert.equal(s.front, model.front);
  assert.equal(s.tail, model.all.length);
  assert.equal(s.pending, model.all.filter((ref) => ref !== null).length);
  assert.deepEqual([...s.refs()], model.refs);
}

describe('the queue of a session', () => {
  it('is a plain list, in whatever order messages come and are settled', () => {
    const step = fc.oneof(
      fc.record({ type: fc.constant('push' as const), by: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ type: fc.constant('settle' as const), by: fc.integer({ min: -2, max: 12 }) }),
      fc.record({ type: fc.constant('restore' as const), by: fc.constant(0) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        let s = new Session('c', 1);
        const model = new NaiveQueue();
        let index = 1;
        for (const { type, by } of steps) {
          if (type === 'push') {
            index += by;
            s.push(index);
            model.all.push(index);
          } else if (type === 'settle') {
            // Around the front, and now and then behind, beyond, or once more.
            const position = model.front + by;
            const expected = model.all[position] ?? 0;
            assert.equal(s.refAt(position), expected);
            assert.equal(s.settle(position), expected);
            if (expected !== 0) model.all[position] = null;
            assert.equal(s.refAt(position), 0);
          } else {
            s = copyOf(s);
          }
          assertEqual(s, model);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('keeps positions through its own tidying: 5000 settled from the front', () => {
    const s = new Session('c', 1);
    const model = new NaiveQueue();
    for (let ref = 1; ref <= 6000; ref++) {
      s.push(ref);
      model.all.push(ref);
    }
    for (let position = 0; position < 5000; position++) {
      assert.equal(s.settle(position), position + 1);
      model.all[position] = null;
    }
    assertEqual(s, model);
    assert.equal(s.refAt(5000), 5001);
    assert.equal(s.refAt(4999), 0);
    s.push(9000);
    assert.equal(s.refAt(6000), 9000);
  });

  it('forgets the PUBREC of a message with the message [MQTT-4.3.3-5]', () => {
    const s = new Session('c', 1);
    s.push(10);
    s.push(11);
    s.pubrecs = new Set([0, 1]);
    s.settle(0);
    assert.deepEqual([...s.pubrecs], [1]);
  });

  it('is its own: sessions that have nothing share no list that anybody writes to', () => {
    const [a, b] = [new Session('a', 1), new Session('b', 2)];
    a.push(10);
    a.settle(0);
    a.push(11);
    assert.deepEqual([...b.refs()], []);
    assert.equal(b.tail, 0);
    assert.deepEqual([...a.refs()], [11]);
  });
});

/** What is queued, by position: [log index, bytes]. */
type Queued = Map<number, readonly [number, number]>;

function queuedIn(s: Session): Queued {
  const queued: Queued = new Map();
  for (let p = s.first; p < s.tail; p = s.unsettledFrom(p + 1))
    queued.set(p, [s.refAt(p), s.bytesAt(p)]);
  return queued;
}

describe('a message that is never acknowledged', () => {
  it('keeps position, identifier and weight while hundreds of thousands pass, and costs one place', () => {
    let s = new Session('c', 1);
    s.push(1, 10);
    let ref = 1;
    for (let n = 1; n <= 300_000; n++) {
      s.push(++ref, 7);
      const position = s.unsettledFrom(s.tail - 1);
      if (s.identifierInUse(position)) s.skip(position, 1);
      const sent = s.unsettledFrom(position);
      assert.notEqual(packetIdOf(sent), packetIdOf(0));
      assert.equal(s.settle(sent), ref);
      if (n % 100_000 === 0) s = copyOf(s);
    }
    assert.deepEqual([...queuedIn(s)], [[0, [1, 10]]]);
    assert.deepEqual([s.first, s.pending, s.bytes, s.stragglers.length], [0, 1, 10, 1]);
    assert.deepEqual([...s.unsettled()], [1]);
    assert.ok([...s.refs()].length <= 1024);
    assert.equal(s.settle(0), 1);
    assert.deepEqual([s.first, s.pending, s.bytes], [s.tail, 0, 0]);
  });

  it('leaves a queue that is long because nobody reads it as it is', () => {
    const s = new Session('c', 1);
    for (let ref = 1; ref <= 100_000; ref++) s.push(ref, 1);
    for (let position = 0; position < 100; position += 2) s.settle(position);
    assert.equal(s.stragglers.length, 0);
    assert.equal(s.first, 1);
    assert.ok(s.identifierInUse(PACKET_IDS + 1));
    assert.ok(!s.identifierInUse(PACKET_IDS));
  });

  it('is one of several, with restored copies that stay equal and no identifier twice under way', function () {
    this.timeout(60_000);
    const step = fc.record({
      push: fc.integer({ min: 0, max: 3000 }),
      settle: fc.array(fc.nat({ max: 4000 }), { maxLength: 6 }),
      all: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
        const s = new Session('c', 1);
        let copy = s;
        const model: Queued = new Map();
        const underWay = new Map<number, number>();
        let ref = 0;
        const both = (run: (each: Session) => void) => {
          run(s);
          if (copy !== s) run(copy);
        };
        for (const { push, settle, all } of steps) {
          for (let n = 0; n < push; n++) {
            ref++;
            both((each) => each.push(ref, ref % 50));
          }
          for (
            s.next = s.unsettledFrom(s.next);
            s.next < s.tail;
            s.next = s.unsettledFrom(s.next)
          ) {
            const position = s.next;
            if (s.identifierInUse(position)) {
              both((each) => each.skip(position, 1));
              continue;
            }
            const id = packetIdOf(position);
            assert.ok(!underWay.has(id), `identifier ${id} twice`);
            underWay.set(id, position);
            model.set(position, [s.refAt(position), s.bytesAt(position)]);
            s.advance();
          }
          assert.deepEqual([s.ahead, s.aheadBytes], [0, 0]);
          const open = [...model.keys()];
          const settled = all ? open.slice(5) : settle.map((n) => open[n % (open.length || 1)]);
          for (const position of settled) {
            if (position === undefined || !model.has(position)) continue;
            both((each) => assert.equal(each.settle(position), model.get(position)![0]));
            model.delete(position);
            underWay.delete(packetIdOf(position));
          }
          assert.deepEqual(queuedIn(s), model);
          assert.deepEqual(queuedIn(copy), model);
          assert.deepEqual([...copy.refs()], [...s.refs()]);
          assert.deepEqual(copy.stragglers, s.stragglers);
          copy = copyOf(s);
        }
        const bytes = [...model.values()].reduce((sum, [, size]) => sum + size, 0);
        assert.deepEqual([s.pending, s.bytes], [model.size, bytes]);
      }),
      { numRuns: 12 },
    );
  });
});

describe('a session in a checkpoint', () => {
  it('comes back with everything', () => {
    const s = new Session('clïent', 17);
    Object.assign(s, {
      epoch: 23,
      gateway: 'n1/2',
      gatewayEpoch: 5,
      connection: 99,
      present: true,
      version: 5,
      expirySeconds: 0xffffffff,
      expiresAtMs: 8_000_000,
      willIndex: 23,
      willDelayMs: 4000,
      willAtMs: 12_000,
      retaining: 31,
      retainingFilters: ['a/#'],
      retainingAfter: 'a/b',
      mark: 1025,
      dupBelow: 2,
      pubrecs: new Set([1]),
      rx2: new Map([[7, 40]]),
    });
    const subscription: Subscription = {
      session: s,
      since: 1.5,
      filter: 'a/#',
      qos: 2,
      noLocal: true,
      retainAsPublished: true,
      retainHandling: 2,
      identifier: 9,
    };
    s.subscriptions = new Map([['a/#', subscription]]);
    for (const ref of [25, 26, 30]) s.push(ref);
    s.settle(0);
    // Where delivery stands is the leader's alone.
    s.rewind();
    const copy = copyOf(s);
    assert.deepEqual(copy, s);
    assert.deepEqual([...copy.refs()], [26, 30]);
    assert.deepEqual([copy.front, copy.tail, copy.pending], [1, 3, 2]);
    assert.equal(copy.subscriptions?.get('a/#')?.session, copy);
    assert.deepEqual([copy.persistent, copy.connected], [true, true]);
  });

  it('takes no memory for what it does not have: at most 600 bytes', () => {
    const copy = copyOf(new Session('c', 1));
    assert.deepEqual([copy.subscriptions, copy.pubrecs, copy.rx2], [null, null, null]);
    assert.deepEqual([copy.persistent, copy.connected], [false, false]);
  });
});
