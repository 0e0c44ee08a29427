import assert from 'node:assert/strict';
import fc from 'fast-check';
import { BytesError, Reader, Writer } from '../bytes.ts';
import {
  decodeEntry,
  type Entry,
  encodeEntry,
  Log,
  readTerms,
  type Term,
  writeTerms,
} from './log.ts';
import type { ViewNumber } from './view.ts';

/** A share of a length, evenly spread: doubles of fast-check are mostly next to nothing. */
const share = fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100);

function view(counter: number): ViewNumber {
  return { counter, leader: `n${counter % 3}#1`, bootEpoch: 7 };
}

function entry(index: number, counter: number): Entry {
  return encodeEntry(index, view(counter), index, (w) => w.varint(counter));
}

/** A log whose entry i (from 1) was appended in the view `views[i − 1]`. */
function logOf(views: readonly number[]): Log {
  const log = new Log();
  views.forEach((counter, i) => {
    log.append(entry(i + 1, counter));
  });
  return log;
}

describe('log entries', () => {
  const parts = fc.record({
    index: fc.maxSafeNat(),
    counter: fc.integer({ min: 0, max: 1e6 }),
    hlc: fc.double({ noNaN: true }),
    operation: fc.uint8Array({ maxLength: 50 }),
  });
  const encoded = parts.map((p) => ({
    ...p,
    entry: encodeEntry(p.index, view(p.counter), p.hlc, (w) => w.raw(p.operation)),
  }));

  it('round-trip, and their operation is a slice of the record', () => {
    fc.assert(
      fc.property(encoded, ({ index, counter, hlc, operation, entry: written }) => {
        const read = decodeEntry(written.bytes);
        for (const e of [written, read]) {
          assert.equal(e.index, index);
          assert.deepEqual(e.number, view(counter));
          assert.equal(e.hlc, hlc);
          assert.deepEqual(new Uint8Array(e.operation), operation);
          assert.equal(e.operation.buffer, e.bytes.buffer);
        }
        assert.deepEqual(read.bytes, written.bytes);
      }),
    );
  });

  it('are found out by any flipped bit', () => {
    const { bytes } = entry(1234567, 89);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const altered = new Uint8Array(bytes);
      altered[bit >> 3]! ^= 1 << (bit & 7);
      assert.throws(() => decodeEntry(altered), BytesError, `bit ${bit}`);
    }
  });

  it('are found out when torn, or with bytes behind them', () => {
    fc.assert(
      fc.property(encoded, fc.nat(), ({ entry: { bytes } }, at) => {
        assert.throws(() => decodeEntry(bytes.subarray(0, at % bytes.length)), BytesError);
        assert.throws(() => decodeEntry(Buffer.concat([bytes, bytes])), BytesError);
      }),
    );
  });
});

describe('Log', () => {
  it('begins a term with each view that appends', () => {
    const log = logOf([1, 1, 1, 4, 4, 9]);
    assert.deepEqual(log.terms, [
      { number: view(1), start: 1 },
      { number: view(4), start: 4 },
      { number: view(9), start: 6 },
    ]);
    assert.equal(log.end, 6);
    assert.equal(log.numberAt(0), undefined);
    assert.deepEqual(
      [1, 3, 4, 5, 6].map((index) => log.numberAt(index)?.counter),
      [1, 1, 4, 4, 9],
    );
  });

  it('remembers a bounded number of terms, the latest', () => {
    const log = logOf(Array.from({ length: 100 }, (_, i) => i + 1));
    assert.equal(log.terms.length, 64);
    assert.deepEqual(log.terms[0], { number: view(37), start: 37 });
    assert.equal(log.numberAt(36), undefined);
  });

  it('restarts from a checkpoint with an empty memory, and goes on behind it', () => {
    const log = logOf([1, 1, 2]);
    const terms = [{ number: view(5), start: 90 }];
    log.restart(100, terms, 80);
    assert.deepEqual([log.end, log.tailStart, log.memStart, log.memCount], [100, 80, 101, 0]);
    assert.equal(log.get(3), undefined);
    log.append(entry(101, 5));
    log.append(entry(102, 6));
    assert.equal(log.get(101)?.index, 101);
    assert.deepEqual(log.terms, [...terms, { number: view(6), start: 102 }]);
    assert.equal(terms.length, 1);
  });

  it('has terms that round-trip', () => {
    const w = new Writer();
    const { terms } = logOf([1, 1, 3, 8]);
    writeTerms(w, terms);
    assert.deepEqual(readTerms(new Reader(w.take())), terms);
  });

  it('holds what a plain array holds, through appends, truncations and forgetting', () => {
    type Step = { type: 'append'; newView: boolean } | { type: 'truncate' | 'forget'; at: number };
    const step: fc.Arbitrary<Step> = fc.oneof(
      { weight: 3, arbitrary: fc.record({ type: fc.constant('append'), newView: fc.boolean() }) },
      fc.record({
        type: fc.constantFrom('truncate', 'forget'),
        at: share,
      }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const log = new Log();
        let model: Entry[] = [];
        let forgotten = 0;
        let counter = 1;
        for (const s of steps) {
          if (s.type === 'append') {
            if (s.newView) counter++;
            const e = entry(model.length + 1, counter);
            model.push(e);
            log.append(e);
          } else if (s.type === 'truncate') {
            const index = Math.round(s.at * model.length);
            model = model.slice(0, index);
            forgotten = Math.min(forgotten, index);
            log.truncate(index);
            // Whoever cuts a log appends under a view of its own.
            counter++;
          } else {
            const index = Math.round(s.at * model.length);
            forgotten = Math.max(forgotten, index);
            log.forget(index);
          }
          assert.equal(log.end, model.length);
          assert.equal(log.memCount, model.length - forgotten);
          assert.equal(log.memStart, forgotten + 1);
          const held = model.slice(forgotten);
          const bytes = held.reduce((sum, e) => sum + e.bytes.length, 0);
          assert.equal(log.memBytes, bytes);
          assert.equal(log.lastBefore(3, bytes), Math.max(forgotten, model.length - 3));
          const last = held.at(-1)?.bytes.length ?? 0;
          assert.equal(log.lastBefore(9, last), Math.max(forgotten, model.length - 1));
          for (let index = 0; index <= model.length + 1; index++) {
            const held = model[index - 1];
            assert.equal(log.get(index), index > forgotten ? held : undefined);
            // Whatever was forgotten, its view is known.
            if (held) assert.deepEqual(log.numberAt(index), held.number);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('entries in memory', () => {
  it('do not keep the frame that they came in, and stay the same', () => {
    const log = new Log();
    const alone = entry(1, 1);
    const frame = new Uint8Array(200_000);
    frame.set(alone.bytes, 150_000);
    const came = decodeEntry(frame.subarray(150_000, 150_000 + alone.bytes.length));
    log.append(came);
    log.compact();
    const { bytes, operation } = log.get(1)!;
    assert.ok(bytes.buffer.byteLength < 1000);
    assert.deepEqual(Buffer.from(bytes), Buffer.from(alone.bytes));
    assert.deepEqual(Buffer.from(operation), Buffer.from(alone.operation));
    assert.deepEqual(log.get(1)?.number, alone.number);
  });
});

describe('commonPrefix', () => {
  /** Views and where each parts from the one before: one starting log each, so logs form a tree. */
  const tree = fc.array(
    fc.record({
      parent: fc.nat(),
      start: share,
      entries: fc.integer({ min: 0, max: 4 }),
    }),
    { minLength: 1, maxLength: 12 },
  );

  /** The whole log of each view, as the view of every entry. */
  function grow(shape: { parent: number; start: number; entries: number }[]): number[][] {
    const logs: number[][] = [[]];
    shape.forEach(({ parent, start, entries }, i) => {
      const from = logs[parent % logs.length]!;
      const kept = from.slice(0, Math.round(start * from.length));
      logs.push([...kept, ...new Array<number>(entries).fill(i + 1)]);
    });
    return logs;
  }

  function naive(a: readonly number[], b: readonly number[]): number {
    let common = 0;
    while (common < a.length && common < b.length && a[common] === b[common]) common++;
    return common;
  }

  it('equals a comparison entry by entry, for any two logs of one shard', () => {
    fc.assert(
      fc.property(tree, fc.nat(), fc.nat(), fc.nat(), fc.nat(), (shape, i, j, cutI, cutJ) => {
        const logs = grow(shape);
        const whole = [logs[i % logs.length]!, logs[j % logs.length]!];
        // A copy may lag behind the log that its view's leader has.
        const a = whole[0]!.slice(0, cutI % (whole[0]!.length + 1));
        const b = whole[1]!.slice(0, cutJ % (whole[1]!.length + 1));
        const [x, y] = [logOf(a), logOf(b)];
        const expected = naive(a, b);
        assert.equal(x.commonPrefix(y.terms, y.end), expected);
        assert.equal(y.commonPrefix(x.terms, x.end), expected);
      }),
      { numRuns: 2000 },
    );
  });

  it('is 0 with an empty log, and when two complete logs differ from the first entry on', () => {
    assert.equal(logOf([1, 1]).commonPrefix([], 0), 0);
    assert.equal(new Log().commonPrefix(logOf([1]).terms, 1), 0);
    assert.equal(logOf([1, 1]).commonPrefix(logOf([2, 2, 2]).terms, 3), 0);
  });

  it('is unknown when the remembered terms share nothing: such copies meet by snapshot', () => {
    const far: Term[] = [{ number: view(90), start: 700 }];
    assert.equal(logOf([1, 1, 2]).commonPrefix(far, 800), -1);
    const restarted = new Log();
    restarted.restart(800, far, 750);
    assert.equal(restarted.commonPrefix(logOf([1, 1, 2]).terms, 3), -1);
  });
});
