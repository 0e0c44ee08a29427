import { itKeeps, type Pinned, pinned } from '../../../swim/test/fixture.ts';
import { crc32c } from '../../src/bytes.ts';
import { checkpointKey, entryKey, hardKey, partialKey } from '../../src/shard/keys.ts';
import { decodeEntry, encodeEntry } from '../../src/shard/log.ts';
import { readShardMessage, type ShardMessage, writeShardMessage } from '../../src/shard/message.ts';
import {
  decodeCheckpoint,
  decodeHard,
  decodePartial,
  encodeCheckpoint,
  encodeHard,
  encodePartial,
} from '../../src/shard/record.ts';
import { readView, type View, type ViewNumber, writeView } from '../../src/shard/view.ts';
import { itRefuses, itRefusesLater, reader, whole, written } from '../formats.ts';

const RECORDS = new URL('../fixtures/v1/shard-records.hex', import.meta.url);
const MESSAGES = new URL('../fixtures/v1/shard-messages.hex', import.meta.url);

const number: ViewNumber = { counter: 300, leader: 'n1#aa', bootEpoch: 1_700_000_000_001 };
const other: ViewNumber = { counter: 299, leader: 'ü#b', bootEpoch: 7 };
const view: View = {
  number,
  voters: ['n1#aa', 'n2#bb', 'ü#b'],
  oldVoters: ['n4#dd'],
  active: ['n1#aa', 'n2#bb'],
  startIndex: 70_000,
};
const terms = [
  { number: other, start: 5 },
  { number, start: 70_001 },
];
const state = Uint8Array.of(1, 2, 3, 250);
const entries = [Uint8Array.of(9, 8), Uint8Array.of(), Uint8Array.of(7)];

/** The same record with another byte at `at`, and its checksum. */
function altered(bytes: Uint8Array, at: number, byte: number): Uint8Array {
  const out = Buffer.from(bytes);
  out[at] = byte;
  out.writeUInt32LE(crc32c(out, 0, out.length - 4), out.length - 4);
  return out;
}

const entry = encodeEntry(70_001, number, 2 ** 52 + 1, (w) => w.raw(Uint8Array.of(13, 0, 42)));
const hard = encodeHard({ promised: number, view, valid: true, cut: true });
const checkpoint = { index: 9, commit: 8, tailStart: 3, terms, kept: [4, 6], state };
const partial = { index: 1000, upto: 600, terms };

const records: Record<string, Pinned> = {
  view: pinned(
    view,
    (v) => written((w) => writeView(w, v)),
    (bytes) => whole(bytes, readView),
  ),
  'log entry': { value: entry, bytes: entry.bytes, read: decodeEntry },
  'hard state': pinned({ promised: number, view, valid: true, cut: true }, encodeHard, decodeHard),
  checkpoint: pinned(checkpoint, encodeCheckpoint, decodeCheckpoint),
  'partial snapshot': pinned(partial, encodePartial, decodePartial),
  'key of the hard state': key(hardKey(258)),
  'key of the checkpoint': key(checkpointKey(258)),
  'key of the partial snapshot': key(partialKey(258)),
  'key of a log entry': key(entryKey(258, 2 ** 40 + 3)),
};

function key(bytes: Uint8Array): Pinned {
  return { value: bytes, bytes, read: (kept) => kept };
}

/** One of each type: a type that is missing here does not compile. */
const messages: { [T in ShardMessage['type']]: ShardMessage & { readonly type: T } } = {
  prepare: { type: 'prepare', number, handoverOf: other },
  promise: {
    type: 'promise',
    number,
    granted: true,
    promised: other,
    view,
    end: 11,
    tailStart: 12,
    floor: 13,
    valid: false,
    terms,
  },
  fetch: { type: 'fetch', number, prev: 14 },
  fetched: { type: 'fetched', number, prev: 15, end: 16, entries },
  install: { type: 'install', view, prev: 17, entries },
  installed: { type: 'installed', number },
  record: { type: 'record', view },
  recorded: { type: 'recorded', number },
  append: { type: 'append', number, prev: 18, commit: 19, entries },
  appended: { type: 'appended', number, index: 20 },
  refused: { type: 'refused', number, promised: other },
  probe: { type: 'probe', number },
  status: { type: 'status', number, end: 21, floor: 22, valid: true, upto: 23, terms },
  learn: { type: 'learn', number, prev: 24, commit: 25, entries },
  learned: { type: 'learned', number, index: 26 },
  snapshot: {
    type: 'snapshot',
    number,
    seq: 27,
    index: 28,
    commit: 29,
    from: 30,
    terms,
    state,
    entries,
    last: true,
  },
  snapshotted: { type: 'snapshotted', number, seq: 31 },
  handover: { type: 'handover', number },
  leading: { type: 'leading', number },
  'not-leading': { type: 'not-leading', number },
  broken: { type: 'broken', number },
  short: { type: 'short', number, index: 32 },
};

describe('formats of a copy, version 1', () => {
  itKeeps(RECORDS, records);

  itRefusesLater(
    ['view', /view record of format 2,/, () => readView(reader(2, 0))],
    ['flags of a view', /view record with flags/, () => readView(reader(1, 1))],
    ['log entry', /entry of format 2,/, () => decodeEntry(altered(entry.bytes, 0, 2))],
    ['flags of a log entry', /entry with flags/, () => decodeEntry(altered(entry.bytes, 1, 1))],
    ['hard state', /hard record of format 3,/, () => decodeHard(altered(hard, 0, 3))],
    ['flags of a hard state', /hard record with flags/, () => decodeHard(altered(hard, 1, 4))],
    [
      'checkpoint',
      /checkpoint of format 3,/,
      () => decodeCheckpoint(altered(encodeCheckpoint(checkpoint), 0, 3)),
    ],
    [
      'partial snapshot',
      /partial snapshot of format 2,/,
      () => decodePartial(altered(encodePartial(partial), 0, 2)),
    ],
  );

  itRefuses([
    'a record of format 0, which never was',
    /entry of format 0,/,
    () => decodeEntry(altered(entry.bytes, 0, 0)),
  ]);
});

describe('messages between copies, version 1', () => {
  itKeeps(
    MESSAGES,
    Object.fromEntries(
      Object.values(messages).map((message) => [
        message.type,
        pinned<ShardMessage>(
          message,
          (m) => written((w) => writeShardMessage(w, m)),
          (bytes) => whole(bytes, readShardMessage),
        ),
      ]),
    ),
  );

  const unknown = Object.keys(messages).length;
  itRefuses([
    'a message of an unknown type',
    new RegExp(`^shard message of unknown type ${unknown}$`),
    () => readShardMessage(reader(unknown)),
  ]);
});
