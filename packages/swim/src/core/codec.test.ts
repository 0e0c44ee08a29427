import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  decodeMessage,
  EVENT_PREFIX_BYTES,
  encodeMessage,
  encodeUpdate,
  MessageWriter,
} from './codec.ts';
import {
  type Body,
  FAN_OUT,
  type Header,
  MEMBER_STATES,
  type Message,
  REFUSAL_REASONS,
  type Update,
} from './message.ts';

const u32 = fc.nat(0xffff_ffff);
const sums = fc.array(fc.nat(0xffff_ffff), { minLength: FAN_OUT, maxLength: FAN_OUT });
const u53 = fc.maxSafeNat();
const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 10 });
const header: fc.Arbitrary<Header> = fc.record({
  version: fc.constant(1),
  clusterId: fc.string({ maxLength: 64 }),
  name,
  bootEpoch: u53,
});
const target = { target: name, targetBootEpoch: u53, targetIncarnation: u32 };
const body: fc.Arbitrary<Body> = fc.oneof(
  fc.record({ type: fc.constant('ping' as const), seq: u32, digest: u32, ...target }),
  fc.record({ type: fc.constant('ack' as const), seq: u32, digest: u32, target: name }),
  fc.record({ type: fc.constant('ping-req' as const), seq: u32, remainingMs: u32, ...target }),
  fc.record({
    type: fc.constantFrom('nack' as const, 'not-me' as const, 'refused' as const),
    seq: u32,
    target: name,
  }),
  fc.record({ type: fc.constant('look' as const), seq: u32, ...target }),
  fc.record({
    type: fc.constantFrom('gossip' as const, 'sync' as const, 'sync-ack' as const),
  }),
  fc.record({
    type: fc.constant('sync-refused' as const),
    reason: fc.constantFrom(...REFUSAL_REASONS),
  }),
  fc.record({ type: fc.constant('digest' as const), branches: sums }),
  fc.record({
    type: fc.constant('digest-ack' as const),
    branches: fc.array(fc.record({ branch: fc.nat(FAN_OUT - 1), sums }), { maxLength: 3 }),
  }),
  fc.record({ type: fc.constant('sync-leaves' as const), leaves: fc.array(fc.nat(4095)) }),
) as fc.Arbitrary<Body>;
const plainUpdate: fc.Arbitrary<Update> = fc.record({
  name,
  bootEpoch: u53,
  incarnation: u32,
  state: fc.constantFrom(...MEMBER_STATES),
  ageS: u32,
  accuser: fc.string({ maxLength: 64 }),
  address: fc.string({ minLength: 1, maxLength: 64 }),
  meta: fc.uint8Array({ maxLength: 512 }),
  unwell: fc.boolean(),
  versions: fc.record({
    min: fc.integer({ min: 1, max: 9 }),
    max: fc.integer({ min: 9, max: 255 }),
  }),
});
const update: fc.Arbitrary<Update> = fc
  .tuple(plainUpdate, fc.boolean())
  .map(([said, refused]) => (refused ? { ...said, refused } : said));
const message: fc.Arbitrary<Message> = fc.record({
  header,
  body,
  updates: fc.array(update, { maxLength: 5 }),
  events: fc.array(fc.uint8Array({ maxLength: 1024 }), { maxLength: 3 }),
});

function encode(value: Message): Uint8Array {
  return encodeMessage(value.header, value.body, value.updates.map(encodeUpdate), value.events);
}

describe('codec', () => {
  it('gives back every message', () => {
    fc.assert(
      fc.property(message, (value) => {
        const bytes = encode(value);
        assert.deepEqual(plain(decodeMessage(bytes)), plain(value));
        const updates = value.updates.map(encodeUpdate);
        const events = value.events.map((event) => event.length + EVENT_PREFIX_BYTES);
        const size = [...updates.map((each) => each.length), ...events].reduce((x, y) => x + y, 0);
        assert.equal(
          bytes.length,
          new MessageWriter(value.header, value.body).overheadBytes + size,
        );
      }),
    );
  });

  it('survives noise: whatever is cut, changed or added, it answers and never throws', () => {
    fc.assert(
      fc.property(message, fc.nat(), fc.nat(255), fc.nat(), (value, at, byte, length) => {
        const bytes = encode(value);
        const changed = bytes.slice();
        changed[at % bytes.length] = byte;
        checkAnswer(decodeMessage(changed));
        const cut = bytes.subarray(0, length % bytes.length);
        assert.equal(decodeMessage(cut), 'malformed');
        const longer = new Uint8Array(bytes.length + 1);
        longer.set(bytes);
        assert.equal(decodeMessage(longer), 'malformed');
        assert.equal(decodeMessage(bytes, { min: 2, max: 3 }), 'other-version');
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        checkAnswer(decodeMessage(bytes));
        checkAnswer(decodeMessage(Uint8Array.of(0x53, 1, ...bytes)));
      }),
    );
  });

  it('tells another version from nonsense', () => {
    assert.equal(decodeMessage(Uint8Array.of(0x53, 2)), 'other-version');
    assert.equal(decodeMessage(Uint8Array.of(0x54, 1)), 'malformed');
    assert.equal(decodeMessage(new Uint8Array()), 'malformed');
  });

  it('keeps nothing of the buffer it read from', () => {
    const value: Message = {
      header: { version: 1, clusterId: 'c', name: 'a', bootEpoch: 1 },
      body: { type: 'gossip' },
      updates: [
        {
          name: 'b',
          bootEpoch: 2,
          incarnation: 3,
          state: 'alive',
          ageS: 0,
          accuser: '',
          address: 'b:1',
          meta: Uint8Array.of(1, 2, 3),
          unwell: true,
          versions: { min: 1, max: 2 },
        },
      ],
      events: [Uint8Array.of(4, 5)],
    };
    const bytes = encode(value);
    const decoded = decodeMessage(bytes);
    bytes.fill(0);
    assert.deepEqual(plain(decoded), plain(value));
  });
});

function checkAnswer(answer: ReturnType<typeof decodeMessage>): void {
  if (typeof answer === 'string') assert.ok(['malformed', 'other-version'].includes(answer));
  else assert.deepEqual(plain(decodeMessage(encode(answer))), plain(answer));
}

/** Without the prototypes that fast-check and Buffer bring along. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
