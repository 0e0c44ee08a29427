import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { decodeMessage, encodeMessage, encodeUpdate } from '../../src/core/codec.ts';
import { decodeEvent, encodeEvent } from '../../src/core/event-codec.ts';
import {
  type Body,
  FAN_OUT,
  MEMBER_STATES,
  type Message,
  REFUSAL_REASONS,
  type Update,
} from '../../src/core/message.ts';
import { Hello } from '../../src/discovery/hello.ts';
import { readFrame, writeFrame } from '../../src/runtime/frame.ts';
import {
  decodeKeyringAnswer,
  decodeKeyringRequest,
  encodeKeyringMessage,
  type KeyringAnswer,
  type KeyringRequest,
} from '../../src/runtime/keyring-message.ts';
import { Keyring } from '../../src/security/keyring.ts';
import { Sealer } from '../../src/security/sealer.ts';
import { fixtureOf, itKeeps, type Pinned, pinned } from '../fixture.ts';

const fixtures = (name: string) => new URL(`../fixtures/v1/${name}.hex`, import.meta.url);

// ---- messages ---------------------------------------------------------------------------------

const header = { version: 1, clusterId: 'c1', name: 'ü', bootEpoch: 1_700_000_000_001 };
const target = { target: 'n2', targetBootEpoch: 2 ** 52 + 1, targetIncarnation: 0xfedcba98 };
const sums = Array.from({ length: FAN_OUT }, (_, i) => i * 0x0101_0101);

/** One of each type: a type that is missing here does not compile. */
const bodies: { [T in Body['type']]: Body & { readonly type: T } } = {
  ping: { type: 'ping', seq: 1, digest: 2, ...target },
  'ping-req': { type: 'ping-req', seq: 3, remainingMs: 4, ...target },
  ack: { type: 'ack', seq: 5, digest: 6, target: 'n2' },
  nack: { type: 'nack', seq: 7, target: 'n2' },
  'not-me': { type: 'not-me', seq: 8, target: 'n2' },
  gossip: { type: 'gossip' },
  sync: { type: 'sync' },
  'sync-ack': { type: 'sync-ack' },
  'sync-refused': { type: 'sync-refused', reason: 'other-version' },
  digest: { type: 'digest', branches: sums },
  'digest-ack': { type: 'digest-ack', branches: [{ branch: 63, sums }] },
  'sync-leaves': { type: 'sync-leaves', leaves: [9, 4095] },
  look: { type: 'look', seq: 10, ...target },
  refused: { type: 'refused', seq: 11, target: 'n2' },
};

const update: Update = {
  name: 'n3',
  bootEpoch: 1_700_000_000_002,
  incarnation: 12,
  state: 'alive',
  ageS: 13,
  accuser: 'n4',
  address: 'h:7700',
  meta: Uint8Array.of(1, 2, 255),
  unwell: false,
  versions: { min: 1, max: 3 },
};
const updates: Readonly<Record<string, Update>> = {
  ...Object.fromEntries(MEMBER_STATES.map((state) => [`a member ${state}`, { ...update, state }])),
  'a member unwell': { ...update, unwell: true },
  'a suspect whose host refuses': { ...update, state: 'suspect', refused: true },
};
const event = {
  name: 'deploy',
  payload: Uint8Array.of(1, 255),
  origin: 'n5',
  bootEpoch: 1_700_000_000_003,
  sequence: 14,
  ageMs: 15,
};

function encode({ header: head, body, updates: told, events }: Message): Uint8Array {
  return encodeMessage(head, body, told.map(encodeUpdate), events);
}

function message(part: Partial<Message>): Pinned {
  const whole: Message = { header, body: { type: 'gossip' }, updates: [], events: [], ...part };
  return pinned(whole, encode, decodeMessage);
}

describe('datagrams and messages of streams, version 1', () => {
  const reasons = REFUSAL_REASONS.map((reason) => ({ type: 'sync-refused', reason }) as const);
  itKeeps(fixtures('messages'), {
    ...Object.fromEntries(Object.entries(bodies).map(([type, body]) => [type, message({ body })])),
    ...Object.fromEntries(
      reasons.map((body) => [`sync-refused, ${body.reason}`, message({ body })]),
    ),
    ...Object.fromEntries(
      Object.entries(updates).map(([name, one]) => [name, message({ updates: [one] })]),
    ),
    'updates and events': message({
      updates: [update, { ...update, name: 'n6' }],
      events: [encodeEvent(event), Uint8Array.of(1)],
    }),
  });

  it('refuse another version by name', () => {
    const bytes = encode({ header, body: bodies.sync, updates: [], events: [] });
    bytes[1] = 2;
    assert.equal(decodeMessage(bytes), 'other-version');
  });

  // Magic, version, clusterId, name and boot epoch come before the type.
  const typeAt = 1 + 1 + 3 + 3 + 8;

  it('refuse an unknown type, reason or state', () => {
    const bytes = encode({ header, body: bodies['sync-refused'], updates: [], events: [] });
    assert.notEqual(decodeMessage(bytes), 'malformed');
    bytes[typeAt + 1] = REFUSAL_REASONS.length;
    assert.equal(decodeMessage(bytes), 'malformed');
    const unknown = encode({ header, body: bodies.gossip, updates: [], events: [] });
    unknown[typeAt] = Object.keys(bodies).length;
    assert.equal(decodeMessage(unknown), 'malformed');
    const told = encode({ header, body: bodies.gossip, updates: [update], events: [] });
    // Count of updates, name, boot epoch and incarnation come before the state.
    told[typeAt + 1 + 2 + 3 + 8 + 4] = MEMBER_STATES.length;
    assert.equal(decodeMessage(told), 'malformed');
  });
});

// ---- the rest ---------------------------------------------------------------------------------

function framed(bytes: Uint8Array): Uint8Array {
  const stream = new PassThrough();
  writeFrame(stream as unknown as Socket, bytes);
  return stream.read() as Buffer;
}

function unframed(bytes: Uint8Array): unknown {
  let read: unknown;
  const stream = new PassThrough() as unknown as Socket;
  readFrame(stream, Buffer.from(bytes), { bytesMax: 100 }, (frame) => {
    read = frame;
  });
  return read;
}

const requests: { [O in KeyringRequest['op']]: KeyringRequest & { readonly op: O } } = {
  list: { op: 'list' },
  install: { op: 'install', key: 'AQEB', instance: 'i' },
  use: { op: 'use', id: '1169a4d2', instance: 'i' },
  remove: { op: 'remove', id: '1169a4d2', instance: 'i' },
};
const answers: Readonly<Record<string, KeyringAnswer>> = {
  'keyring answer': { instance: 'i', keys: [{ id: '1169a4d2', primary: true }] },
  'keyring refusal': { errorCode: 'SWIM_ERR_KEY_INVALID' },
};

describe('what else membership sends, version 1', () => {
  itKeeps(fixtures('others'), {
    'frame of a stream': pinned(Uint8Array.of(1, 2, 3), framed, unframed),
    'user event': pinned(event, encodeEvent, decodeEvent),
    ...Object.fromEntries(
      Object.entries(requests).map(([op, request]) => [
        `keyring ${op}`,
        pinned<KeyringRequest>(request, encodeKeyringMessage, decodeKeyringRequest),
      ]),
    ),
    ...Object.fromEntries(
      Object.entries(answers).map(([name, answer]) => [
        name,
        pinned(answer, encodeKeyringMessage, decodeKeyringAnswer),
      ]),
    ),
  });

  it('refuses a keyring message of another version', () => {
    const bytes = encodeKeyringMessage(requests.list);
    bytes[1] = 2;
    assert.equal(decodeKeyringRequest(bytes), undefined);
    assert.equal(decodeKeyringAnswer(bytes), undefined);
  });
});

/** A question of discovery with a nonce of ours, and the answer to it. */
const QUESTION = question(1);
const ANSWER = '440102c592e134404807190102030405060708' + '03623a31';

function question(version: number): Uint8Array {
  const bytes = new Uint8Array(288);
  bytes.set([0x44, version, 1]);
  bytes.set([1, 2, 3, 4, 5, 6, 7, 8], 11);
  return bytes;
}

describe('discovery, version 1', () => {
  const hello = () => new Hello({ address: 'b:1', clusterId: () => 'c1', nowMs: () => 1_000 });

  it('keeps the bytes of an answer', () => {
    assert.equal(Buffer.from(hello().take(QUESTION)!).toString('hex'), ANSWER);
  });

  it('keeps the bytes of a question: head, no cluster, nonce, zeros', () => {
    const asker = new Hello({ address: 'a:1', clusterId: () => '', nowMs: () => 1_000 });
    const { bytes } = asker.ask(() => {});
    const sent = Buffer.from(bytes);
    sent.set([1, 2, 3, 4, 5, 6, 7, 8], 11);
    assert.equal(sent.toString('hex'), Buffer.from(QUESTION).toString('hex'));
  });

  it('does not answer a question of another version', () => {
    assert.equal(hello().take(question(2)), undefined);
  });
});

/** Salts are random, so the fixtures are messages that were sealed once. */
describe('sealed messages, versions 1 and 2', () => {
  const SEALED = fixtures('sealed');
  const sealer = () => {
    const keyring = Keyring.of([new Uint8Array(32).fill(7)]);
    const made = new Sealer({ keyring, clusterId: 'c1', sendersMax: 4 });
    made.address = 'h:1';
    return made;
  };
  const kinds = [
    ['datagram', 'datagram'],
    ['request', 'request'],
    ['response', 'response'],
    ['hello', 'hello'],
    ['link', 'link'],
    ['bound datagram', 'datagram'],
  ] as const;
  for (const [name, kind] of kinds) {
    it(`opens a ${name} that was sealed before`, () => {
      const request = kind === 'response' ? fixtureOf(SEALED, 'request') : undefined;
      const opened = sealer().open(kind, fixtureOf(SEALED, name), request);
      assert.equal(opened && Buffer.from(opened.bytes).toString(), 'message');
    });

    it(`lays out a ${name} as it did`, () => {
      const kept = fixtureOf(SEALED, name);
      const now = sealer().seal(
        kind,
        Buffer.from('message'),
        kind === 'response' ? fixtureOf(SEALED, 'request') : undefined,
        name === 'bound datagram' ? 'h:1' : undefined,
      );
      assert.equal(now.length, kept.length);
      // Magic, version, tag of the cluster and id of the key.
      assert.deepEqual(Uint8Array.from(now.subarray(0, 14)), kept.subarray(0, 14));
    });
  }

  it('refuses another version', () => {
    const later = fixtureOf(SEALED, 'datagram');
    later[1] = 3;
    const receiver = sealer();
    assert.equal(receiver.open('datagram', later), undefined);
    assert.equal(receiver.counters.sealMalformed, 1);
  });
});
