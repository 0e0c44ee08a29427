import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type SwimConfigInput, swimConfig } from '../config.ts';
import { decodeEvent, encodeEvent, isEventSized, type UserEvent } from './event-codec.ts';
import { Events } from './events.ts';

const KNOWN = (): boolean => true;
const LIMIT = 4;

function events(config: SwimConfigInput = {}, name = 'me'): Events {
  return new Events(swimConfig(config), name, 10);
}

function event(sequence: number, changes: Partial<UserEvent> = {}): UserEvent {
  const payload = Uint8Array.of(sequence & 0xff);
  return { name: 'e', payload, origin: 'a', bootEpoch: 1, sequence, ageMs: 0, ...changes };
}

/** What becomes of a record; 'new' for an event. */
function hear(to: Events, said: UserEvent, nowMs = 0, sinceMs = Number.NEGATIVE_INFINITY): string {
  const received = to.receive(encodeEvent(said), nowMs, sinceMs, KNOWN);
  return typeof received === 'string' ? received : 'new';
}

describe('codec of user events', () => {
  const anyEvent = fc.record(
    {
      name: fc.string({ minLength: 1, maxLength: 16 }),
      payload: fc.uint8Array({ maxLength: 512 }),
      origin: fc.string({ minLength: 1, maxLength: 30 }),
      bootEpoch: fc.maxSafeNat(),
      sequence: fc.maxSafeNat(),
      ageMs: fc.nat(0xffff_ffff),
    },
    { noNullPrototype: true },
  );

  it('keeps every event as it is', () => {
    fc.assert(
      fc.property(anyEvent, (given) => {
        assert.deepEqual(decodeEvent(encodeEvent(given)), given);
      }),
    );
  });

  it('never throws, whatever the bytes', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => decodeEvent(bytes) !== null));
    fc.assert(
      fc.property(anyEvent, fc.nat(), fc.nat(255), (given, at, byte) => {
        const bytes = encodeEvent(given);
        bytes[at % bytes.length] = byte;
        decodeEvent(bytes);
        decodeEvent(bytes.subarray(0, at % bytes.length));
      }),
    );
  });

  it('wants a name of 1 to 64 bytes and a payload of at most 512', () => {
    for (const [name, payload, expected] of [
      ['', 0, false],
      ['n', 512, true],
      ['n', 513, false],
      ['ä'.repeat(32), 0, true],
      ['ä'.repeat(33), 0, false],
    ] as const) {
      assert.equal(isEventSized(name, new Uint8Array(payload)), expected);
    }
  });
});

describe('Events', () => {
  it('gives each event once, however often and in whatever order it comes', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 200 }), (sequences) => {
        const mine = events();
        const fresh = sequences.filter((sequence) => hear(mine, event(sequence)) === 'new');
        const allowed = [...new Set(sequences)];
        assert.deepEqual(fresh, allowed.slice(0, 256));
      }),
    );
  });

  it('takes none of its own for new, of this life or a former one', () => {
    const mine = events();
    assert.equal(hear(mine, event(1, { origin: 'me' })), 'seen');
    assert.equal(hear(mine, event(1, { origin: 'me', bootEpoch: 3 })), 'seen');
  });

  it('takes nothing older than its membership, nor older than events are kept', () => {
    const mine = events({ eventKeepMs: 60_000 });
    assert.equal(hear(mine, event(1, { ageMs: 501 }), 1_000, 500), 'refused');
    assert.equal(hear(mine, event(1, { ageMs: 500 }), 1_000, 500), 'new');
    assert.equal(hear(mine, event(2, { ageMs: 60_000 }), 99_000), 'refused');
    assert.equal(hear(mine, event(2, { ageMs: 59_999 }), 99_000), 'new');
  });

  it('passes an event on with the time that it was held added to its age', () => {
    const mine = events();
    hear(mine, event(1, { ageMs: 100 }), 5_000);
    const [gossiped] = mine.take(1_000, LIMIT, 5_300);
    assert.equal(decodeEvent(gossiped as Uint8Array)?.ageMs, 400);
    const [kept] = mine.recent(1_000, 255, 6_000);
    assert.equal(decodeEvent(kept as Uint8Array)?.ageMs, 1_100);
  });

  it('refuses an unknown origin, or another life of it, and takes the event when it is known', () => {
    const mine = events();
    const record = encodeEvent(event(1));
    const since = Number.NEGATIVE_INFINITY;
    assert.equal(
      mine.receive(record, 0, since, () => false),
      'refused',
    );
    assert.notEqual(
      mine.receive(record, 0, since, (name, epoch) => name === 'a' && epoch === 1),
      'refused',
    );
    // Last words of that life, though another one is known by now.
    assert.notEqual(
      mine.receive(encodeEvent(event(2)), 0, since, () => false),
      'refused',
    );
  });

  it('refuses a sequence number that no origin can have reached, so that no forgery silences', () => {
    const mine = events();
    assert.equal(hear(mine, event(1)), 'new');
    assert.equal(hear(mine, event(Number.MAX_SAFE_INTEGER)), 'refused');
    assert.equal(hear(mine, event(2)), 'new');
    // One that came first is forgotten with its time.
    assert.equal(hear(mine, event(Number.MAX_SAFE_INTEGER, { origin: 'b' })), 'new');
    assert.equal(hear(mine, event(2, { origin: 'b' }), 60_000), 'seen');
    assert.equal(hear(mine, event(2, { origin: 'b' }), 120_001), 'new');
  });

  it('lets a member broadcast so many a second, twice as many at once', () => {
    const mine = events({ eventRateMax: 5 });
    const burst = (nowMs: number): number => {
      for (let n = 0; ; n++)
        if (mine.broadcast('e', new Uint8Array(), nowMs) === undefined) return n;
    };
    assert.equal(burst(0), 10);
    assert.equal(burst(1_000), 5);
    assert.equal(burst(60_000), 10);
  });

  it('takes from each other member four times that, and the rest later', () => {
    const mine = events({ eventRateMax: 5, eventsMax: 16 });
    let sequence = 0;
    const flood = (nowMs: number): number => {
      for (let n = 0; ; n++) {
        if (hear(mine, event(sequence + 1), nowMs) === 'refused') return n;
        sequence++;
      }
    };
    assert.equal(flood(0), 16);
    assert.equal(flood(500), 10);
  });

  it('keeps its bounds: the oldest kept go first, those sent most are gossiped no more', () => {
    const mine = events({ eventsMax: 16, eventRateMax: 1_000 });
    for (let n = 0; n < 100; n++) mine.broadcast('e', Uint8Array.of(n), 0);
    assert.equal(mine.size, 16);
    assert.equal(mine.keptCount, 16);
    assert.equal(mine.dropped, 84);
    const newest = mine.recent(1_000_000, 255, 0).map((record) => decodeEvent(record)?.sequence);
    assert.deepEqual(newest.slice(0, 3), [100, 99, 98]);
  });

  it('remembers no more lives than there may be members, and lets the idle ones go', () => {
    const mine = events({ membersMax: 4 });
    for (const origin of ['a', 'b', 'c', 'd'])
      assert.equal(hear(mine, event(1, { origin })), 'new');
    assert.equal(hear(mine, event(1, { origin: 'e' })), 'refused');
    assert.equal(hear(mine, event(1, { origin: 'e' }), 120_001), 'new');
    assert.equal(mine.originCount, 1);
  });

  it('forgets events after their time', () => {
    const mine = events({ eventKeepMs: 1_000 });
    mine.broadcast('e', new Uint8Array(), 0);
    assert.equal(mine.recent(1_000, 255, 999).length, 1);
    assert.equal(mine.recent(1_000, 255, 1_000).length, 0);
    assert.equal(mine.size, 0);
  });

  it('has a quarter of each datagram while updates fill the rest, saved up for a large event', () => {
    const mine = events({ eventRateMax: 1_000 });
    for (let n = 0; n < 8; n++) mine.broadcast('e', new Uint8Array(512), 0);
    let eventBytes = 0;
    for (let n = 0; n < 100; n++) {
      const reserved = mine.reserve(1_300);
      // Updates take everything else.
      for (const record of mine.take(reserved, 1_000, 0)) eventBytes += record.length + 2;
    }
    const share = eventBytes / 130_000;
    assert.ok(share > 0.23 && share <= 0.26, `${share}`);
  });

  it('leaves everything to updates while no event waits', () => {
    const mine = events();
    assert.equal(mine.reserve(1_300), 0);
  });
});
