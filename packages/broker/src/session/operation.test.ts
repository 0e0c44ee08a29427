import assert from 'node:assert/strict';
import fc from 'fast-check';
import { survivesNoise } from '../../test/formats.ts';
import { BytesError, Reader, Writer } from '../bytes.ts';
import type { Message, Rx2Id, Will } from './message.ts';
import { SKIPPED_MAX } from './operation/queue.ts';
import { type Operation, type Origin, readOperation, writeOperation } from './operation.ts';
import type { AckItem, Recipient } from './recipient.ts';
import type { SubscriptionRequest } from './subscription.ts';

const nat = fc.maxSafeNat();
/** −1 stands for "not given". */
const optional = fc.oneof(fc.constant(-1), fc.integer({ min: 0, max: 0xffffffff }));
const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const bytes = fc.uint8Array({ maxLength: 30 });
const bool = fc.boolean();
const packetId = fc.integer({ min: 1, max: 65535 });
const qos = fc.constantFrom<(0 | 1 | 2)[]>(0, 1, 2);
const message: fc.Arbitrary<Message> = fc.record({
  topic: text,
  payload: bytes,
  qos,
  retain: bool,
  hlc: fc.double({ min: 0, noNaN: true }),
  expiresAtMs: fc.oneof(fc.constant(0), fc.double({ min: 1, noNaN: true })),
  properties: bytes,
  publisher: text,
});
const will: fc.Arbitrary<Will | null> = fc.option(
  fc.record({
    message,
    delaySeconds: fc.integer({ min: 0, max: 0xffffffff }),
    expirySeconds: fc.integer({ min: -1, max: 0xffffffff }),
  }),
);
const rx2Id: fc.Arbitrary<Rx2Id> = fc.record({ shard: nat, index: nat, low: nat });
const rx2: fc.Arbitrary<Rx2Id | null> = fc.option(rx2Id);
const address = fc.option(fc.record({ node: text, bootEpoch: nat, connection: nat }));
const subscription: fc.Arbitrary<SubscriptionRequest> = fc.record({
  filter: text,
  qos,
  noLocal: bool,
  retainAsPublished: bool,
  retainHandling: qos,
  identifier: fc.integer({ min: 0, max: 268_435_455 }),
});
const recipient: fc.Arbitrary<Recipient> = fc.record({
  clientId: text,
  birth: nat,
  qos: fc.constantFrom<(1 | 2)[]>(1, 2),
  retain: bool,
  identifiers: fc.array(fc.integer({ min: 1, max: 268_435_455 }), { maxLength: 3 }),
});
/** Of a client: long ones are left out where they follow themselves. */
const clientId = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
  fc.constantFrom('a'.repeat(129), 'b'.repeat(65_535)),
);
const item: fc.Arbitrary<AckItem> = fc.record({
  clientId,
  epoch: nat,
  kind: fc.constantFrom('puback', 'pubrec', 'pubcomp'),
  position: nat,
});
const origin: fc.Arbitrary<Origin | null> = fc.option(
  fc.record({ node: text, bootEpoch: nat, sequence: nat }),
);
const session = { clientId: text, epoch: nat };

/** One arbitrary per type: a type that is missing here does not compile. */
const operations: { [T in Operation['type']]: fc.Arbitrary<Operation & { type: T }> } = {
  open: fc.record({
    type: fc.constant('open'),
    clientId: text,
    cleanStart: bool,
    hlc: fc.nat(),
    expirySeconds: fc.integer({ min: 0, max: 0xffffffff }),
    gateway: text,
    gatewayEpoch: nat,
    connection: nat,
    version: fc.constantFrom(3, 4, 5),
    user: fc.string(),
    will,
    sentUpto: optional,
  }),
  close: fc.record({
    type: fc.constant('close'),
    ...session,
    abnormal: bool,
    graceMs: nat,
    expirySeconds: optional,
    sentUpto: optional,
    elapsedMs: nat,
  }),
  sub: fc.record({
    type: fc.constant('sub'),
    ...session,
    subscriptions: fc.array(subscription, { maxLength: 4 }),
  }),
  unsub: fc.record({
    type: fc.constant('unsub'),
    ...session,
    filters: fc.array(text, { maxLength: 4 }),
  }),
  enq: fc.record({
    type: fc.constant('enq'),
    rx2,
    message,
    recipients: fc.array(recipient, { maxLength: 4 }),
    retained: bool,
  }),
  'retained-done': fc.record({
    type: fc.constant('retained-done'),
    clientId: text,
    birth: nat,
    index: nat,
  }),
  ack: fc.record({ type: fc.constant('ack'), items: fc.array(item, { maxLength: 4 }) }),
  assign: fc.record({ type: fc.constant('assign'), ...session, upto: nat }),
  skip: fc.record({
    type: fc.constant('skip'),
    ...session,
    position: nat,
    count: fc.nat({ max: SKIPPED_MAX }),
  }),
  rx2: fc.record({ type: fc.constant('rx2'), ...session, packetId, message }),
  rx2done: fc.record({ type: fc.constant('rx2done'), ...session, packetId }),
  enqd: fc.record({ type: fc.constant('enqd'), indexes: fc.array(nat, { maxLength: 5 }) }),
  will: fc.record({ type: fc.constant('will'), clientId: text, birth: nat }),
  retain: fc.record({ type: fc.constant('retain'), rx2, message }),
  tick: fc.record({ type: fc.constant('tick'), elapsedMs: nat }),
  expire: fc.record({ type: fc.constant('expire'), clientId: text, birth: nat }),
  group: fc.record({
    type: fc.constant('group'),
    rx2,
    groups: fc.array(text, { maxLength: 4 }),
    ingress: text,
    message,
  }),
  bind: fc.record({
    type: fc.constant('bind'),
    group: text,
    index: nat,
    clientId: text,
    to: address,
  }),
  unbind: fc.record({ type: fc.constant('unbind'), group: text, index: nat }),
  groupdone: fc.record({
    type: fc.constant('groupdone'),
    items: fc.array(fc.record({ group: text, indexes: fc.array(nat, { maxLength: 4 }) }), {
      maxLength: 3,
    }),
  }),
  refuse: fc.record({ type: fc.constant('refuse'), rx2: rx2Id }),
  returned: fc.record({ type: fc.constant('returned'), numbers: fc.array(nat, { maxLength: 4 }) }),
};
const anyOperation: fc.Arbitrary<Operation> = fc.oneof(...Object.values(operations));

function encode(operation: Operation, by: Origin | null): Uint8Array {
  const w = new Writer();
  writeOperation(w, operation, by);
  return new Uint8Array(w.take());
}

describe('operations', () => {
  for (const [type, arbitrary] of Object.entries(operations) as [
    string,
    fc.Arbitrary<Operation>,
  ][]) {
    it(`${type} round-trips, with its origin and without`, () => {
      fc.assert(
        fc.property(arbitrary, origin, (operation, by) => {
          const r = new Reader(encode(operation, by));
          // Records of fast-check have no prototype; a clone has the usual one.
          assert.deepEqual(readOperation(r), structuredClone({ operation, origin: by }));
          assert.equal(r.done, true);
        }),
      );
    });
  }

  it('cut short are refused', () => {
    fc.assert(
      fc.property(anyOperation, origin, fc.nat(), (operation, by, at) => {
        const encoded = encode(operation, by);
        const end = at % encoded.length;
        assert.throws(() => readOperation(new Reader(encoded, 0, end)), BytesError);
      }),
      { numRuns: 500 },
    );
  });

  it('name a session with a long Client Identifier by its birth', () => {
    const clientId = 'x'.repeat(60_000);
    const recipients = Array.from({ length: 1100 }, (_, birth) => ({
      clientId: birth === 7 ? 'short' : clientId,
      birth,
      qos: 1 as const,
      retain: false,
      identifiers: [],
    }));
    const message: Message = {
      topic: 't',
      payload: new Uint8Array(0),
      qos: 1,
      retain: false,
      hlc: 1,
      expiresAtMs: 0,
      properties: new Uint8Array(0),
      publisher: 'p',
    };
    const enq = { type: 'enq', rx2: null, message, recipients, retained: false } as const;
    const encoded = encode(enq, null);
    assert.ok(encoded.length < 20_000, `${encoded.length} bytes`);
    const read = readOperation(new Reader(encoded)).operation;
    assert.ok(read.type === 'enq');
    assert.deepEqual(
      read.recipients,
      recipients.map((t) => (t.birth === 7 ? t : { ...t, clientId: '' })),
    );
  });

  it('name a long Client Identifier once for many acknowledgements', () => {
    const items = Array.from({ length: 128 }, (_, position) => ({
      clientId: position === 64 ? 'other' : 'x'.repeat(60_000),
      epoch: 5,
      kind: 'puback' as const,
      position,
    }));
    const encoded = encode({ type: 'ack', items }, null);
    assert.ok(encoded.length < 130_000, `${encoded.length} bytes`);
    assert.deepEqual(readOperation(new Reader(encoded)).operation, { type: 'ack', items });
  });

  it('of an unknown type are refused: a copy must not skip what it does not know', () => {
    for (const code of [Object.keys(operations).length, 32, 255])
      assert.throws(() => readOperation(new Reader(Uint8Array.of(code, 0, 0, 0))), BytesError);
  });

  it('survive noise: read or BytesError', () => {
    survivesNoise(
      anyOperation,
      (op) => encode(op, null),
      (r) => assert.ok(readOperation(r).operation.type in operations),
    );
  });
});
