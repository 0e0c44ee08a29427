import assert from 'node:assert/strict';
import { shardOf } from '../../placement/hash.ts';
import type { Message } from '../../session/message.ts';
import { type Opened, type Reply, type Request, reply, Status } from '../link/request.ts';
import { type OpenRequest, Sessions } from './sessions.ts';

const SHARDS = 4;
const GRACE_MS = 100;
const HOW = { abnormal: false, expirySeconds: -1, sentUpto: -1, graceMs: 0 };

interface Asked {
  readonly shard: number;
  readonly request: Request;
  readonly done: (reply: Reply) => void;
}

/** Sessions of a node whose requests stay where they are until a test answers them. */
function setUp() {
  const time = { nowMs: 1000, stamp: 0, flushes: 0 };
  const asked: Asked[] = [];
  const held: (() => void)[] = [];
  const sessions = new Sessions({
    name: 'n1',
    bootEpoch: 7,
    shardCount: SHARDS,
    timings: { willNodeGraceMs: GRACE_MS },
    clock: { next: () => ++time.stamp },
    env: {
      nowMs: () => time.nowMs,
      scheduleFlush: () => {
        time.flushes++;
      },
    },
    router: {
      channel: (shard) => ({
        send: (request, done) => {
          asked.push({ shard, request, done });
        },
      }),
      whenRoutable: (run) => {
        held.push(run);
      },
    },
  });
  const advance = (ms: number) => {
    time.nowMs += ms;
    sessions.tick(time.nowMs);
  };
  return { sessions, time, asked, held, advance };
}

function openRequest(clientId: string): OpenRequest {
  return { clientId, cleanStart: false, expirySeconds: 0, version: 5, user: '', will: null };
}

const OPENED: Opened = {
  epoch: 9,
  birth: 9,
  present: false,
  subscriptions: [],
  first: 0,
  sentBelow: 0,
};

/** A Client Identifier of another shard than this one's. */
function elsewhere(clientId: string): string {
  const shard = shardOf(clientId, SHARDS);
  for (let n = 0; ; n++) if (shardOf(`c${n}`, SHARDS) !== shard) return `c${n}`;
}

describe('what connections ask of their sessions', () => {
  it('puts the acknowledgements of a turn into one request per shard, in order', () => {
    const { sessions, asked, time } = setUp();
    const other = elsewhere('c');
    const told: string[] = [];
    sessions.settle('c', 1, 'puback', 0, (ok) => told.push(`c0 ${ok}`));
    sessions.settle(other, 1, 'puback', 5, (ok) => told.push(`other ${ok}`));
    sessions.settle('c', 1, 'pubrec', 1, (ok) => told.push(`c1 ${ok}`));
    assert.equal(time.flushes, 2);
    assert.equal(asked.length, 0);
    sessions.flush();
    sessions.flush();
    assert.deepEqual(
      asked.map(({ shard, request }) => [
        shard,
        request.type === 'ack' && request.items.map(({ position }) => position),
      ]),
      [
        [shardOf('c', SHARDS), [0, 1]],
        [shardOf(other, SHARDS), [5]],
      ],
    );
    asked[1]!.done(reply(Status.NoSession));
    asked[0]!.done(reply(Status.Ok));
    assert.deepEqual(told, ['other false', 'c0 true', 'c1 true']);
  });

  it('sends the acknowledgements of a connection before its CLOSE', () => {
    const { sessions, asked } = setUp();
    sessions.settle('c', 1, 'puback', 3, null);
    sessions.close('c', 1, HOW);
    assert.deepEqual(
      asked.map(({ request }) => request.type),
      ['ack', 'close'],
    );
  });

  it('asks again for an OPEN that was put off, and insists after the grace of Wills', () => {
    const { sessions, asked, advance } = setUp();
    const answers: number[] = [];
    sessions.open(3, openRequest('c'), (status) => answers.push(status));
    for (let n = 0; n < 3; n++) {
      asked[n]!.done(reply(Status.PutOff));
      advance(39);
      assert.equal(asked.length, n + 1);
      advance(1);
    }
    assert.deepEqual(
      asked.map(({ request }) => request.type),
      ['open', 'open', 'open', 'insist'],
    );
    assert.deepEqual(answers, []);
    const { request } = asked[3]!;
    assert.ok(request.type === 'insist');
    assert.deepEqual(request.open, asked[0]!.request);
  });

  it('gives an OPEN up after ten seconds, and closes what it opens later', () => {
    const { sessions, asked, advance } = setUp();
    const answers: number[] = [];
    sessions.open(3, openRequest('c'), (status) => answers.push(status));
    advance(9_999);
    assert.deepEqual(answers, []);
    advance(1);
    assert.deepEqual(answers, [Status.NotLeader]);
    asked[0]!.done({ status: Status.Ok, opened: OPENED });
    assert.deepEqual(answers, [Status.NotLeader]);
    const { request } = asked[1]!;
    assert.ok(request.type === 'close');
    assert.deepEqual([request.epoch, request.abnormal], [OPENED.epoch, false]);
  });

  it('stamps a QoS 2 message when it may be routed, and forgets it if its client is gone by then', () => {
    const { sessions, asked, held, time } = setUp();
    const NO_BYTES = new Uint8Array();
    const bytes = { payload: NO_BYTES, properties: NO_BYTES, publisher: 'c' };
    const message: Message = {
      topic: 't',
      ...bytes,
      qos: 2,
      retain: false,
      hlc: 1,
      expiresAtMs: 0,
    };
    const answers: number[] = [];
    let wanted = true;
    const receive = (packetId: number) =>
      sessions.receive(
        'c',
        1,
        packetId,
        message,
        () => wanted,
        (status) => answers.push(status),
      );
    receive(1);
    receive(2);
    time.stamp = 500;
    held[0]!();
    wanted = false;
    held[1]!();
    assert.deepEqual(answers, [Status.NoSession]);
    assert.equal(asked.length, 1);
    const { request } = asked[0]!;
    assert.ok(request.type === 'rx2');
    assert.deepEqual([request.packetId, request.message.hlc], [1, 501]);
  });

  it('fences a connection only if the leader says that the session is not its own', () => {
    const { sessions, asked } = setUp();
    let fenced = 0;
    const attach = () =>
      sessions.attach('c', 1, () => {
        fenced++;
      });
    attach();
    attach();
    asked[0]!.done(reply(Status.Ok));
    assert.equal(fenced, 0);
    asked[1]!.done(reply(Status.NoSession));
    assert.equal(fenced, 1);
  });
});
