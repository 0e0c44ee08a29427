import assert from 'node:assert/strict';
import { itKeeps, type Pinned, pinned } from '../../../swim/test/fixture.ts';
import { Writer } from '../../src/bytes.ts';
import { type Message, readMessage } from '../../src/session/message.ts';
import {
  type Operation,
  type Origin,
  readOperation,
  writeOperation,
} from '../../src/session/operation.ts';
import { readAckItems, readRecipient } from '../../src/session/recipient.ts';
import { Session } from '../../src/session/session.ts';
import {
  readQueueBytes,
  readSession,
  writeQueueBytes,
  writeSession,
} from '../../src/session/session-codec.ts';
import { ShardState } from '../../src/session/shard-state.ts';
import { readSubscription } from '../../src/session/subscription.ts';
import { itRefuses, itRefusesLater, reader, whole, written } from '../formats.ts';
import { MESSAGE } from '../samples.ts';
import { Shard, WILL } from './shard.ts';

const OPERATIONS = new URL('../fixtures/v1/operations.hex', import.meta.url);
const STATE = new URL('../fixtures/v1/shard-state.hex', import.meta.url);

const origin: Origin = { node: 'n2', bootEpoch: 1_700_000_000_001, sequence: 300 };
const message: Message = {
  topic: 'a/ü',
  payload: Uint8Array.of(1, 2, 255),
  qos: 2,
  retain: true,
  hlc: 2 ** 52 + 1,
  expiresAtMs: 1_700_000_000_002,
  properties: Uint8Array.of(38, 0, 1, 97, 0, 1, 98),
  publisher: 'p',
};
const rx2 = { shard: 3, index: 40, low: 39 };
const long = 'l'.repeat(129);
const subscription = {
  filter: 's/+/#',
  qos: 1,
  noLocal: true,
  retainAsPublished: true,
  retainHandling: 2,
  identifier: 268_435_455,
} as const;
const session = { clientId: 'c', epoch: 50 };

/** One of each type: a type that is missing here does not compile. */
const operations: { [T in Operation['type']]: Operation & { readonly type: T } } = {
  open: {
    type: 'open',
    clientId: 'c',
    cleanStart: true,
    hlc: 2 ** 52 + 2,
    expirySeconds: 60,
    gateway: 'n1',
    gatewayEpoch: 1_700_000_000_003,
    connection: 4,
    version: 5,
    user: 'u',
    will: { message, delaySeconds: 6, expirySeconds: 7 },
    sentUpto: 8,
  },
  close: {
    type: 'close',
    ...session,
    abnormal: true,
    graceMs: 9,
    expirySeconds: 10,
    sentUpto: 11,
    elapsedMs: 12,
  },
  sub: { type: 'sub', ...session, subscriptions: [subscription] },
  unsub: { type: 'unsub', ...session, filters: ['f', 'g/#'] },
  enq: {
    type: 'enq',
    rx2,
    message,
    recipients: [
      { clientId: 'c', birth: 13, qos: 2, retain: true, identifiers: [14, 300] },
      { clientId: 'd', birth: 15, qos: 1, retain: false, identifiers: [] },
    ],
    retained: true,
  },
  'retained-done': { type: 'retained-done', clientId: 'c', birth: 16, index: 17 },
  ack: {
    type: 'ack',
    items: [
      { ...session, kind: 'puback', position: 18 },
      { clientId: long, epoch: 51, kind: 'pubrec', position: 19 },
      { clientId: long, epoch: 51, kind: 'pubcomp', position: 20 },
    ],
  },
  assign: { type: 'assign', ...session, upto: 21 },
  rx2: { type: 'rx2', ...session, packetId: 65_535, message },
  rx2done: { type: 'rx2done', ...session, packetId: 22 },
  enqd: { type: 'enqd', indexes: [23, 24] },
  will: { type: 'will', clientId: 'c', birth: 25 },
  retain: { type: 'retain', rx2, message },
  tick: { type: 'tick', elapsedMs: 26 },
  expire: { type: 'expire', clientId: 'c', birth: 27 },
  skip: { type: 'skip', ...session, position: 28, count: 29 },
  group: { type: 'group', rx2, groups: ['$share/g/f', '$share/h/+'], ingress: 'n1', message },
  bind: {
    type: 'bind',
    group: '$share/g/f',
    index: 30,
    clientId: 'c',
    to: { node: 'n1', bootEpoch: 1_700_000_000_004, connection: 31 },
  },
  unbind: { type: 'unbind', group: '$share/g/f', index: 32 },
  groupdone: { type: 'groupdone', items: [{ group: '$share/g/f', indexes: [33, 34] }] },
  refuse: { type: 'refuse', rx2 },
  returned: { type: 'returned', numbers: [35, 36] },
};

function logged(operation: Operation, from: Origin | null): Pinned {
  return pinned(
    { operation, origin: from },
    (l) => written((w) => writeOperation(w, l.operation, l.origin)),
    (bytes) => whole(bytes, readOperation),
  );
}

/** A session with a different value in each field. */
function fullSession(): Session {
  const s = new Session('c', 1);
  Object.assign(s, { epoch: 2, openedHlc: 3.5, gateway: 'n1', gatewayEpoch: 4, connection: 5 });
  Object.assign(s, {
    present: true,
    version: 5,
    user: 'u',
    expirySeconds: 6,
    expiresAtMs: 7,
    willIndex: 8,
  });
  Object.assign(s, { willDelayMs: 9, willAtMs: 10, graced: true, retaining: 11 });
  Object.assign(s, {
    retainingFilters: ['r'],
    retainingAfter: 't',
    retainingNext: new Set(['n', 'm']),
  });
  Object.assign(s, { mark: 205, dupBelow: 204, pubrecs: new Set([203]), rx2: new Map([[12, 13]]) });
  s.subscriptions = new Map([['s/+/#', { ...subscription, since: 14.5, session: s }]]);
  s.restoreRefs(201, [15, 0, 17]);
  s.restoreSizes([100, 300], [{ position: 200, ref: 14, bytes: 50 }]);
  return s;
}

function said(s: Session): unknown {
  const { subscriptions, stragglers, ...fields } = s;
  const subs = [...(subscriptions?.values() ?? [])].map(({ session: of, ...sub }) => [
    sub,
    of === s,
  ]);
  const sizes = [...s.refs()].map((_, i) => s.bytesAt(s.front + i));
  return { ...fields, subs, stragglers: s.stragglers, refs: [...s.refs()], sizes };
}

const GROUP = '$share/g/f';

/** Messages that wait for groups, are bound, given, refused, and on their way back. */
function fillGroups(shard: Shard): void {
  const groups = [GROUP, '$share/h/f'];
  const seen = { ...rx2, index: 42 };
  const index = shard.apply({ type: 'group', rx2: seen, groups, ingress: 'n1', message: MESSAGE });
  shard.apply({ type: 'group', rx2: null, groups: [GROUP], ingress: 'n1', message: MESSAGE });
  shard.apply({ ...operations.bind, index });
  shard.apply({ type: 'refuse', rx2: { ...rx2, index: 43 } });
  const c = shard.open('gone');
  const recipients = [
    { clientId: 'gone', birth: c.birth, qos: 2, retain: false, identifiers: [] },
  ] as const;
  shard.close(c, { sentUpto: 0 });
  const enq = { type: 'enq', rx2: null, message: MESSAGE, retained: false, group: GROUP } as const;
  shard.apply({ ...enq, recipients });
  shard.apply({ type: 'expire', clientId: 'gone', birth: c.birth });
  const kept = shard.open('kept');
  shard.apply({ ...enq, recipients: [{ ...recipients[0], clientId: 'kept', birth: kept.birth }] });
}

/** A shard that holds one of everything. */
function fullShard(): ShardState {
  const shard = new Shard();
  const a = shard.open('a', { will: WILL });
  const b = shard.open('b', { expirySeconds: 0 });
  shard.subscribe(a, { filter: 'x/#', qos: 1 }, { filter: 'y', qos: 0 });
  shard.enqueue(a, b);
  const recipients = [
    { clientId: 'a', birth: a.birth, qos: 2, retain: false, identifiers: [] },
  ] as const;
  const expiring = { ...MESSAGE, expiresAtMs: 5000 };
  shard.apply({ type: 'enq', rx2, message: expiring, recipients, retained: false }, origin);
  shard.apply({ type: 'retain', rx2: { ...rx2, index: 41 }, message: expiring });
  shard.retain('kept');
  shard.retain('gone');
  shard.retain('gone', new Uint8Array(0), 99);
  shard.rx2(a, 7);
  shard.ack(b, 0);
  shard.close(b);
  fillGroups(shard);
  return shard.state;
}

function summary(state: ShardState): unknown {
  return {
    sessions: [...state.sessions.values()].map(({ clientId, epoch, pending, bytes }) => {
      return { clientId, epoch, pending, bytes };
    }),
    filters: [...state.filters],
    routeVersion: state.routeVersion,
    retained: ['t', 'kept', 'gone'].map((topic) => [
      state.retained.indexOf(topic),
      state.retained.hlcOf(topic),
    ]),
    owed: [...state.owed],
    expiries: [...state.expiries],
    seen: [state.enqSeen.has(rx2), state.retainSeen.has({ ...rx2, index: 41 })],
    groups: [...state.groups.byKey.values()].map(({ key, messages, bytes }) => {
      return { key, bytes, messages: [...messages] };
    }),
    lowestBind: state.groups.lowestBind(0),
    groupsSeen: state.groupSeen.has({ ...rx2, index: 42 }),
    refused: state.refusedSeen.has({ ...rx2, index: 43 }),
    given: [...state.given],
    returned: [...state.returned.byNumber],
    queuedBytes: state.bytes.queued,
    origins: [...state.origins.values()],
    live: state.liveIndexes(),
    hlc: state.hlc,
  };
}

function restored(bytes: Uint8Array): ShardState {
  const state = new ShardState();
  state.restore(bytes);
  return state;
}

describe('operations, version 1', () => {
  const plainMessage = { ...MESSAGE, qos: 0, payload: new Uint8Array(0) } as const;
  itKeeps(OPERATIONS, {
    ...Object.fromEntries(
      Object.values(operations).map((operation) => [operation.type, logged(operation, origin)]),
    ),
    'open without origin and Will': logged({ ...operations.open, will: null, sentUpto: -1 }, null),
    'enq to the member of a group': logged({ ...operations.enq, group: '$share/g/f' }, null),
    'bind to a stored session': logged({ ...operations.bind, to: null }, null),
    'retain of a message without options': logged(
      { type: 'retain', rx2: null, message: plainMessage },
      null,
    ),
  });

  itRefusesLater(
    ['operation', /operation of unknown type 22$/, () => readOperation(reader(22, 0))],
    ['message', /message with flags 32$/, () => readMessage(reader(32))],
    ['subscription', /subscription with flags 64$/, () => readSubscription(reader(1, 97, 64))],
    ['recipient', /recipient with flags 9$/, () => readRecipient(reader(1, 97, 1, 9))],
    [
      'acknowledgement',
      /acknowledgement of unknown kind 7$/,
      () => readAckItems(reader(1, 1, 97, 1, 7, 1)),
    ],
  );

  itRefuses(
    ['message of QoS 3', /message of QoS 3/, () => readMessage(reader(3))],
    ['recipient of QoS 0', /recipient of QoS 0/, () => readRecipient(reader(1, 97, 1, 0))],
    ['subscription of QoS 3', /of QoS 3/, () => readSubscription(reader(1, 97, 3))],
    ['Retain Handling 3', /Retain Handling 3/, () => readSubscription(reader(1, 97, 48))],
    ['a boolean of 2', /2 where yes or no stands/, () => readOperation(reader(13, 2))],
  );
});

describe('state of a shard, version 1', () => {
  itKeeps(STATE, {
    session: {
      value: said(fullSession()),
      bytes: written((w) => writeSession(w, fullSession())),
      // What its messages weigh stands in another place.
      read: (bytes) => {
        const s = whole(bytes, readSession);
        s.restoreSizes([100, 300], fullSession().stragglers);
        return said(s);
      },
    },
    'sizes of a queue': {
      value: said(fullSession()),
      bytes: written((w) => writeQueueBytes(w, fullSession())),
      read: (bytes) => {
        const s = whole(
          written((w) => writeSession(w, fullSession())),
          readSession,
        );
        whole(bytes, (r) => readQueueBytes(r, s));
        return said(s);
      },
    },
    'whole state': {
      value: summary(fullShard()),
      bytes: fullShard().encode(),
      read: (bytes) => summary(restored(bytes)),
    },
  });

  it('reads the state of an earlier version, which ends before the sizes of the queues', () => {
    const w = new Writer();
    for (const s of fullShard().sessions.values()) writeQueueBytes(w, s);
    const groups = new Writer();
    const { groups: queues, groupSeen, refusedSeen, given, returned } = fullShard();
    for (const part of [queues, groupSeen, refusedSeen]) part.write(groups);
    groups.list([...given], (o, [index, group]) => {
      o.varint(index);
      o.str(group);
    });
    returned.write(groups);
    const whole = fullShard().encode();
    const state = restored(whole.subarray(0, -w.length - groups.length));
    assert.deepEqual(
      [...state.sessions.values()].map(({ clientId, pending, bytes }) => [
        clientId,
        pending,
        bytes,
      ]),
      [...fullShard().sessions.values()].map(({ clientId, pending }) => [clientId, pending, 0]),
    );
  });
});
