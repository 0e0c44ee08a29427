import assert from 'node:assert/strict';
import { itKeeps, type Pinned, pinned } from '../../../swim/test/fixture.ts';
import { BytesError, crc32c, NewerFormatError, Reader, type Writer } from '../../src/bytes.ts';
import {
  type ClusterSettings,
  decodeSettings,
  encodeSettings,
  readSettings,
} from '../../src/cluster-settings.ts';
import { LinkMessage } from '../../src/node/link/link-message.ts';
import {
  type Reply,
  type Request,
  readReply,
  readRequest,
  Status,
  writeReply,
  writeRequest,
} from '../../src/node/link/request.ts';
import { Wire } from '../../src/node/link/wire.ts';
import { decodeIdentity, encodeIdentity, type Identity } from '../../src/node/members/identity.ts';
import { readLives, writeLives } from '../../src/node/members/lives.ts';
import { Marks } from '../../src/node/members/marks.ts';
import { writeOperation } from '../../src/session/operation.ts';
import { KEY_IDENTITY, KEY_RUNS, KEY_SETTINGS } from '../../src/shard/keys.ts';
import { itRefuses, reader, whole, written } from '../formats.ts';

const RECORDS = new URL('../fixtures/v1/node-records.hex', import.meta.url);
const REQUESTS = new URL('../fixtures/v1/requests.hex', import.meta.url);
const MESSAGES = new URL('../fixtures/v1/link-messages.hex', import.meta.url);

const EPOCH = 1_700_000_000_001;

// ---- the store --------------------------------------------------------------------------------

const settings: ClusterSettings = {
  revision: 2,
  shards: 64,
  replicas: 3,
  durability: 'memory',
  consistency: 'available',
  minCopies: 1,
  silenceMs: 500,
};
const identity: Identity = {
  name: 'ü',
  storeId: 's1',
  bootEpoch: EPOCH,
  clusterId: 'c1',
  shardCount: 64,
  settings: null,
  clockAheadMs: 300,
  fresh: false,
};
const lives = { runs: [5, EPOCH], seen: new Map([['n2#b', 6]]) };
const mark = { promised: 1, view: 2, durable: 3, commit: 4, print: 0xfedcba98 };
const third = { ...mark, promised: 2 ** 39, durable: 2 ** 47 };

function marksFile(): Uint8Array {
  let file = new Uint8Array(0);
  const marks = new Marks({
    initial: file,
    write: (_at, bytes) => {
      file = Uint8Array.from(bytes);
    },
  });
  marks.set(0, mark);
  marks.set(2, third);
  marks.flush(0, true);
  return file.subarray(0, 96);
}

function readMarks(initial: Uint8Array): unknown {
  const marks = new Marks({ initial, write: () => {} });
  return [0, 1, 2].map((shard) => marks.get(shard) ?? null);
}

function later(bytes: Uint8Array, format: number): Uint8Array {
  const out = Buffer.from(bytes);
  out[0] = format;
  out.writeUInt32LE(crc32c(out, 0, out.length - 4), out.length - 4);
  return out;
}

const key = (bytes: Uint8Array): Pinned => ({ value: bytes, bytes, read: (kept) => kept });

describe('records of a node, version 1', () => {
  itKeeps(RECORDS, {
    identity: pinned(identity, encodeIdentity, decodeIdentity),
    'settings of the cluster': pinned(settings, encodeSettings, decodeSettings),
    runs: pinned(lives, writeLives, readLives),
    marks: { value: [mark, null, third], bytes: marksFile(), read: readMarks },
    'key of the identity': key(KEY_IDENTITY),
    'key of the settings': key(KEY_SETTINGS),
    'key of the runs': key(KEY_RUNS),
  });

  it('refuses by name: an identity of a later version', () => {
    assert.deepEqual(decodeIdentity(later(encodeIdentity(identity), 2)), {
      error: 'BROKER_ERR_DATA_NEWER_FORMAT',
      message: 'format 2, this program reads up to 1',
    });
  });

  it('refuses by name: settings of a later version, in the folder and in HELLO', () => {
    const bytes = later(encodeSettings(settings), 2);
    assert.deepEqual(decodeSettings(bytes), { format: 2 });
    assert.throws(
      () => readSettings(new Reader(bytes)),
      new BytesError('cluster settings of format 2, here 1'),
    );
  });

  it('refuses by name: runs of a later version', () => {
    assert.throws(
      () => readLives(later(writeLives(lives), 2)),
      (e) => e instanceof NewerFormatError && /record of runs of format 2,/.test(e.message),
    );
  });

  it('refuses by name: marks of a later version', () => {
    const file = Buffer.from(marksFile());
    file[0] = 2;
    file.writeUInt32LE((crc32c(file, 0, 28) ^ 1) >>> 0, 28);
    assert.throws(
      () => readMarks(file),
      (e) => e instanceof NewerFormatError && /mark of format 2,/.test(e.message),
    );
  });
});

// ---- requests and replies ---------------------------------------------------------------------

const message = {
  topic: 'a/ü',
  payload: Uint8Array.of(1, 2, 255),
  qos: 2,
  retain: true,
  hlc: 2 ** 52 + 1,
  expiresAtMs: EPOCH,
  properties: Uint8Array.of(1, 1),
  publisher: 'p',
} as const;
const rx2 = { shard: 3, index: 40, low: 39 };
const open = {
  type: 'open',
  clientId: 'c',
  cleanStart: false,
  hlc: 2 ** 52 + 2,
  expirySeconds: 60,
  gateway: 'n1',
  gatewayEpoch: EPOCH,
  connection: 4,
  version: 5,
  user: '',
  will: null,
  sentUpto: -1,
} as const;
const subscription = {
  filter: 'f',
  qos: 1,
  noLocal: true,
  retainAsPublished: false,
  retainHandling: 2,
  identifier: 300,
} as const;
const opened = {
  epoch: 8,
  birth: 9,
  present: true,
  subscriptions: [subscription],
  first: 46,
  sentBelow: 47,
};

const requests: Readonly<Record<string, Request>> = {
  operation: { type: 'rx2done', clientId: 'c', epoch: 5, packetId: 6 },
  publish: { type: 'publish', rx2, message },
  attach: { type: 'attach', clientId: 'c', epoch: 7 },
  delete: { type: 'delete', clientId: 'c' },
  insist: { type: 'insist', open },
  group: { type: 'group', groups: ['$share/g/f', '$share/h/f'], rx2, message },
  give: { type: 'give', clientId: 'c', group: '$share/g/f', window: 48, rx2, message },
};

function reply(name: keyof typeof Status): [string, Reply] {
  return [`reply ${name}`, { status: Status[name], opened: null }];
}

const replies: Readonly<Record<string, Reply>> = {
  ...Object.fromEntries((Object.keys(Status) as (keyof typeof Status)[]).map(reply)),
  'reply to OPEN': { status: Status.TakenOver, opened },
};

function read<T>(body: (r: Reader) => T) {
  return (bytes: Uint8Array): T => whole(bytes, body);
}

describe('requests to a leader, version 1', () => {
  const ofRequest = (q: Request) =>
    pinned(q, (value) => written((w) => writeRequest(w, value)), read(readRequest));
  const ofReply = (p: Reply) =>
    pinned(p, (value) => written((w) => writeReply(w, value)), read(readReply));
  itKeeps(REQUESTS, {
    ...Object.fromEntries(Object.entries(requests).map(([name, q]) => [name, ofRequest(q)])),
    ...Object.fromEntries(Object.entries(replies).map(([name, p]) => [name, ofReply(p)])),
  });

  const tick = (kind: number) =>
    written((w) => {
      w.u8(kind);
      writeOperation(w, { type: 'tick', elapsedMs: 1 }, null);
    });
  itRefuses(
    ['a request of an unknown type', /^request of unknown type 7$/, () => readRequest(reader(7))],
    [
      'an operation that only a leader logs',
      /^operation tick is not for a node to request$/,
      () => readRequest(new Reader(tick(0))),
    ],
    [
      'an operation that cannot insist',
      /^operation tick cannot insist$/,
      () => readRequest(new Reader(tick(4))),
    ],
    [
      'a message that is given without identity',
      /^a message is given without identity$/,
      () => readRequest(reader(6, 1, 99, 1, 103, 1, 0)),
    ],
    ['a reply of an unknown status', /^reply of unknown status 9$/, () => readReply(reader(9))],
  );
});

// ---- messages on a link -----------------------------------------------------------------------

const to = { node: '', bootEpoch: EPOCH, connection: 5 };
const number = { counter: 300, leader: 'n1#aa', bootEpoch: EPOCH };
const requestNumber = { shard: 1, sequence: 300, prev: 299 };
const page = [subscription];
const changes = [
  { filter: 'f', added: true, zeroOnly: true },
  { filter: 'g', added: false, zeroOnly: false },
];
const member = { connection: 54, clientId: 'c', qos: 2, persistent: true, window: 128 } as const;
const memberChanges = [
  { filter: '$share/g/f', added: true, zeroOnly: false, member },
  {
    filter: '$share/g/f',
    added: false,
    zeroOnly: false,
    member: { ...member, clientId: '', window: 0 },
  },
];
const view = {
  shard: 6,
  number,
  since: 7,
  routeVersion: '8.n1',
  active: ['n1#aa'],
  voters: ['n1#aa', 'n2#bb'],
  oldVoters: ['n3#cc'],
};
const shardRoutes = {
  shard: 9,
  whole: false,
  more: false,
  from: '10.n1',
  to: '11.n1',
  changes: [
    ['f', true],
    ['g', false],
  ],
} as const;
const question = { shards: null, print: 12, filters: ['f', 'g/#'], after: 'a' };
const delivery = {
  to,
  position: 13,
  qos: 2,
  dup: true,
  retain: true,
  copy: true,
  identifiers: [14, 300],
  message,
} as const;
const missed = { everything: false, hlc: 15.5, topics: ['t', 'u'] };
const batch = { token: 16, last: true, items: [{ message, identifiers: [17] }] };

/** A message: what its reader gives, and how it is written. */
interface Sent {
  readonly value: unknown;
  readonly write: (w: Writer) => void;
}

const M = LinkMessage;
const one =
  <T>(codec: { write(w: Writer, value: T): void }) =>
  (value: T): Sent => ({ value, write: (w) => codec.write(w, value) });

/** One of each kind: a kind that is missing here does not compile. */
const sent: Readonly<Record<keyof typeof Wire, Sent>> = {
  Heartbeat: one(M.Heartbeat)({ sentMs: 18.5, calm: true }),
  HeartbeatAck: one(M.HeartbeatAck)({ sentMs: 18.5, grants: true, after: 19 }),
  Hello: one(M.Hello)(settings),
  Shard: {
    value: { shard: 20, message: { type: 'probe', number } },
    write: (w) => M.Shard.write(w, 20, { type: 'probe', number }),
  },
  Request: {
    value: { number: requestNumber, request: requests['attach'] },
    write: (w) => M.Request.write(w, requestNumber, requests['attach']!),
  },
  Publish: one(M.Publish)({
    numbers: [requestNumber, { ...requestNumber, shard: 2 }],
    rx2,
    message,
  }),
  Reply: {
    value: { shard: 21, sequence: 22, reply: replies['reply to OPEN'] },
    write: (w) => M.Reply.write(w, 21, 22, replies['reply to OPEN']!),
  },
  Views: one(M.Views)([view]),
  Routes: { value: { whole: true, changes }, write: (w) => M.Routes.write(w, true, changes) },
  ShardRoutes: one(M.ShardRoutes)(shardRoutes),
  NeedShardRoutes: one(M.NeedShardRoutes)(23),
  Synced: one(M.Synced)([{ shard: 21, number, agoMs: 45.5 }]),
  Barrier: one(M.Barrier)(24),
  BarrierAck: one(M.BarrierAck)(25),
  LivePublish: one(M.LivePublish)({ sequence: 26, rx2, message }),
  LiveAck: one(M.LiveAck)(27),
  QosZero: one(M.QosZero)({ ...message, qos: 0 }),
  Deliver: one(M.Deliver)(delivery),
  Pubrel: { value: { to, position: 28 }, write: (w) => M.Pubrel.write(w, to, 28) },
  Kick: one(M.Kick)({ to, reasonCode: 142, yields: true, by: { node: 'n3', connection: 29 } }),
  RetainedQuery: one(M.RetainedQuery)({ id: 30, pageBytes: 31, question }),
  RetainedReply: {
    value: { id: 32, page: { status: 'busy', items: [message] } },
    write: (w) => M.RetainedReply.write(w, 32, { status: 'busy', items: [message] }),
  },
  Ask: {
    value: { id: 33, value: { type: 'totals' } },
    write: (w) => M.Ask.write(w, 33, { type: 'totals' }),
  },
  Answer: { value: { id: 34, value: null }, write: (w) => M.Answer.write(w, 34, null) },
  LiveGap: { value: { sequence: 35, missed }, write: (w) => M.LiveGap.write(w, 35, missed) },
  Credit: one(M.Credit)(65_536),
  Subscriptions: one(M.Subscriptions)({ shard: 36, sequence: 37, page }),
  LiveHeld: one(M.LiveHeld)(38),
  LiveAsk: one(M.LiveAsk)(43),
  LiveAwaited: one(M.LiveAwaited)(44),
  Stopped: { value: undefined, write: M.Stopped.write },
  RetainedEnd: one(M.RetainedEnd)(39),
  RetainedZero: { value: { to, batch }, write: (w) => M.RetainedZero.write(w, to, batch) },
  RetainedTaken: {
    value: { clientId: 'c', token: 40 },
    write: (w) => M.RetainedTaken.write(w, 'c', 40),
  },
  Runs: one(M.Runs)([41, EPOCH]),
  RunMissing: one(M.RunMissing)(42),
  LaterRun: one(M.LaterRun)(EPOCH),
  Give: one(M.Give)({
    to,
    token: 49,
    shard: 55,
    term: 56,
    generation: 50,
    group: '$share/g/f',
    qos: 2,
    id: rx2,
    message,
  }),
  Given: one(M.Given)({ token: 51, outcome: 3 }),
  GiveFree: one(M.GiveFree)({ connection: 52, generation: 53, room: 57, upTo: 58 }),
  Relay: {
    value: { type: 'frame', name: 'n3', final: true, frame: Uint8Array.of(2, 5, 6) },
    write: (w) => {
      M.Relay.write(w, { type: 'frame', name: 'n3', final: true, frame: Uint8Array.of(2, 5, 6) });
    },
  },
};

/** The forms that a kind has beside the one above. */
const others: Readonly<Record<string, Sent>> = {
  'Hello of a joiner': one(M.Hello)(null),
  'Routes of members of groups': {
    value: { whole: false, changes: memberChanges },
    write: (w) => M.Routes.write(w, false, memberChanges),
  },
  'ShardRoutes, a page of all': one(M.ShardRoutes)({ ...shardRoutes, whole: true, more: true }),
  'RetainedQuery of listed shards': one(M.RetainedQuery)({
    id: 43,
    pageBytes: 44,
    question: { ...question, print: 0, shards: [1, 300] },
  }),
  'RetainedQuery that goes on': one(M.RetainedQuery)({ id: 45, pageBytes: 46, question: null }),
};

function readMessage(bytes: Uint8Array): unknown {
  const r = new Reader(bytes);
  const kind = r.u8();
  const [name] = Object.entries(Wire).find(([, code]) => code === kind)!;
  const value = M[name as keyof typeof M].read(r);
  assert.ok(r.done, 'bytes are left over');
  return value;
}

describe('messages between nodes, version 1', () => {
  itKeeps(
    MESSAGES,
    Object.fromEntries(
      Object.entries({ ...sent, ...others }).map(([name, { value, write }]): [string, Pinned] => [
        name,
        { value, bytes: written(write), read: readMessage },
      ]),
    ),
  );
});
