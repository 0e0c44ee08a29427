import assert from 'node:assert/strict';
import fc from 'fast-check';
import { survivesNoise } from '../../test/formats.ts';
import { BytesError, Reader, Writer } from '../bytes.ts';
import type { Term } from './log.ts';
import { readShardMessage, type ShardMessage, writeShardMessage } from './message.ts';
import type { View, ViewNumber } from './view.ts';

const copy = fc.constantFrom('a#1', 'b#1', 'ü/2#x', '');
const nat = fc.maxSafeNat();
const number: fc.Arbitrary<ViewNumber> = fc.record({ counter: nat, leader: copy, bootEpoch: nat });
const copies = fc.array(copy, { maxLength: 5 });
const view: fc.Arbitrary<View> = fc.record({
  number,
  voters: copies,
  oldVoters: copies,
  active: copies,
  startIndex: nat,
});
const terms: fc.Arbitrary<Term[]> = fc.array(fc.record({ number, start: nat }), { maxLength: 4 });
const bytes = fc.uint8Array({ maxLength: 30 });
const entries = fc.array(bytes, { maxLength: 4 });
const bool = fc.boolean();

/** One arbitrary per type: a type that is missing here does not compile. */
const messages: { [T in ShardMessage['type']]: fc.Arbitrary<ShardMessage & { type: T }> } = {
  prepare: fc.record({ type: fc.constant('prepare'), number, handoverOf: number }),
  promise: fc.record({
    type: fc.constant('promise'),
    number,
    granted: bool,
    promised: number,
    view,
    end: nat,
    tailStart: nat,
    floor: nat,
    valid: bool,
    terms,
  }),
  fetch: fc.record({ type: fc.constant('fetch'), number, prev: nat }),
  fetched: fc.record({ type: fc.constant('fetched'), number, prev: nat, end: nat, entries }),
  install: fc.record({ type: fc.constant('install'), view, prev: nat, entries }),
  installed: fc.record({ type: fc.constant('installed'), number }),
  record: fc.record({ type: fc.constant('record'), view }),
  recorded: fc.record({ type: fc.constant('recorded'), number }),
  append: fc.record({ type: fc.constant('append'), number, prev: nat, commit: nat, entries }),
  appended: fc.record({ type: fc.constant('appended'), number, index: nat }),
  refused: fc.record({ type: fc.constant('refused'), number, promised: number }),
  probe: fc.record({ type: fc.constant('probe'), number }),
  status: fc.record({
    type: fc.constant('status'),
    number,
    end: nat,
    floor: nat,
    valid: bool,
    upto: nat,
    terms,
  }),
  learn: fc.record({ type: fc.constant('learn'), number, prev: nat, commit: nat, entries }),
  learned: fc.record({ type: fc.constant('learned'), number, index: nat }),
  snapshot: fc.record({
    type: fc.constant('snapshot'),
    number,
    seq: nat,
    index: nat,
    commit: nat,
    from: nat,
    terms,
    state: bytes,
    entries,
    last: bool,
  }),
  snapshotted: fc.record({ type: fc.constant('snapshotted'), number, seq: nat }),
  handover: fc.record({ type: fc.constant('handover'), number }),
  leading: fc.record({ type: fc.constant('leading'), number }),
  'not-leading': fc.record({ type: fc.constant('not-leading'), number }),
  broken: fc.record({ type: fc.constant('broken'), number }),
  short: fc.record({ type: fc.constant('short'), number, index: nat }),
};
const anyMessage: fc.Arbitrary<ShardMessage> = fc.oneof(...Object.values(messages));

function encode(message: ShardMessage): Uint8Array {
  const w = new Writer();
  writeShardMessage(w, message);
  return new Uint8Array(w.take());
}

describe('messages between the copies of a shard', () => {
  for (const [type, arbitrary] of Object.entries(messages) as [
    string,
    fc.Arbitrary<ShardMessage>,
  ][]) {
    it(`${type} round-trips`, () => {
      fc.assert(
        fc.property(arbitrary, (message) => {
          const r = new Reader(encode(message));
          // Records of fast-check have no prototype; a clone has the usual one.
          assert.deepEqual(readShardMessage(r), structuredClone(message));
          assert.equal(r.done, true);
        }),
        { numRuns: 30 },
      );
    });
  }

  it('cut short are refused', () => {
    fc.assert(
      fc.property(anyMessage, fc.nat(), (message, at) => {
        const encoded = encode(message);
        const end = at % encoded.length;
        assert.throws(() => readShardMessage(new Reader(encoded, 0, end)), BytesError);
      }),
      { numRuns: 500 },
    );
  });

  it('of an unknown type are refused', () => {
    const type = Object.keys(messages).length;
    assert.throws(
      () => readShardMessage(new Reader(Uint8Array.of(type, 0, 0, 0, 0, 0))),
      BytesError,
    );
  });

  it('survive noise: read or refused, never anything else', () => {
    survivesNoise(anyMessage, encode, (r) => assert.ok(readShardMessage(r).type in messages));
  });
});
