import assert from 'node:assert/strict';
import { MESSAGE as SAMPLE } from '../../../test/samples.ts';
import type { Writer } from '../../bytes.ts';
import { DEFAULT_LIMITS } from '../../config-schema.ts';
import { createCounters } from '../../counters.ts';
import type { Message } from '../../session/message.ts';
import type { Logged, Operation, Origin } from '../../session/operation.ts';
import { ShardState } from '../../session/shard-state.ts';
import { type Entry, encodeEntry } from '../../shard/log.ts';
import type { Replica } from '../../shard/replica.ts';
import { type Reply, type Request, Status } from '../link/request.ts';
import type { LeadPort } from './lead-port.ts';
import { ShardLeader } from './leader.ts';

const MESSAGE: Message = { ...SAMPLE, hlc: Number.MAX_SAFE_INTEGER };
const NUMBER = { counter: 3, leader: 'n1#s', bootEpoch: 1 };

/** A leader whose entries are committed when the test says so. */
function setUp() {
  const state = new ShardState();
  const logged: string[] = [];
  const entries = new Map<number, Entry>();
  const confirming: (() => void)[] = [];
  const replica = {
    shard: 0,
    view: { number: NUMBER },
    canPropose: true,
    commit: 0,
    log: { end: 0, numberAt: () => NUMBER, get: (index: number) => entries.get(index) },
    appending: {
      propose(hlc: number, write: (w: Writer) => void, decoded: Logged): number {
        const index = ++replica.log.end;
        const entry = encodeEntry(index, NUMBER, hlc, write);
        entries.set(index, entry);
        logged.push(decoded.operation.type);
        state.apply(entry, decoded);
        return index;
      },
    },
  };
  const lease = { room: true };
  const ignore = () => {};
  const clock = { stamp: 0, next: () => ++clock.stamp, observe: ignore };
  const counters = createCounters();
  const limits = { ...DEFAULT_LIMITS };
  const port = {
    limits,
    counters,
    env: { nowMs: () => 0, wallMs: () => 0, log: ignore },
    clock,
    willNodeGraceMs: 0,
    watched: { add: ignore, remove: ignore },
    gatewayGone: () => false,
    work: { start: (task: (units: number) => boolean) => task(1000) },
    routes: {
      setShard: ignore,
      changeShard: ignore,
      shardVersion: () => '0',
      setShardVersion: ignore,
    },
    leases: {
      confirm(_: unknown, _nowMs: number, done: () => void) {
        if (lease.room) confirming.push(done);
        return lease.room;
      },
    },
    grants: { barrier: (_nowMs: number, done: () => void) => done() },
    announcing: { announceShardRoutes: ignore },
    giving: { drop: ignore },
    router: { publish: ignore },
    peers: { full: () => false },
    connections: { deliver: () => true, sendRetained: ignore, pubrel: () => true, kick: ignore },
  };
  const leader = new ShardLeader(replica as unknown as Replica, state, port as unknown as LeadPort);
  const answers: string[] = [];
  const names = new Map(Object.entries(Status).map(([name, status]) => [status as number, name]));
  const last = new Map<string, number>();

  /** The next request of a node; answers are noted with its name and number. */
  function ask(request: Request, how: Partial<Origin> & { prev?: number } = {}): void {
    const node = how.node ?? 'n2';
    const prev = how.prev ?? last.get(node) ?? 0;
    const sequence = how.sequence ?? prev + 1;
    last.set(node, Math.max(sequence, last.get(node) ?? 0));
    const origin = { node, bootEpoch: how.bootEpoch ?? 1, sequence };
    leader.handle(origin, prev, request, ({ status }: Reply) => {
      answers.push(`${node} ${sequence}: ${names.get(status)}`);
    });
  }
  function commit(): string[] {
    replica.commit = replica.log.end;
    leader.onCommitted();
    return answers.splice(0);
  }
  const open = (clientId: string) => {
    ask({ ...OPEN, clientId });
    commit();
    const s = state.sessions.get(clientId)!;
    return { clientId, epoch: s.epoch };
  };
  leader.onEstablished(false);
  return {
    leader,
    state,
    replica,
    logged,
    answers,
    confirming,
    lease,
    limits,
    counters,
    ask,
    commit,
    open,
  };
}

const OPEN: Operation & { type: 'open' } = {
  type: 'open',
  clientId: 'c',
  cleanStart: false,
  hlc: 1,
  expirySeconds: 60,
  gateway: 'n2',
  gatewayEpoch: 1,
  connection: 1,
  version: 5,
  user: '',
  will: null,
  sentUpto: -1,
};
const PUBLISH: Request = { type: 'publish', rx2: null, message: MESSAGE };

function sub(of: { clientId: string; epoch: number }): Request {
  const options = { qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 2 } as const;
  return { type: 'sub', ...of, subscriptions: [{ filter: 't', ...options, identifier: 0 }] };
}

function rx2(of: { clientId: string; epoch: number }, packetId: number): Request {
  return { type: 'rx2', ...of, packetId, message: { ...MESSAGE, qos: 2 } };
}

describe('the order of requests to a leader', () => {
  it('has no gap: what came before must have been seen', () => {
    const { ask, answers, logged } = setUp();
    ask(OPEN, { sequence: 3, prev: 2 });
    assert.deepEqual([answers, logged], [['n2 3: Gap'], []]);
  });

  it('takes a number once, and answers its repetition from the state', () => {
    const { ask, commit, open, logged } = setUp();
    const c = open('c');
    ask(sub(c));
    ask(sub(c), { prev: 0, sequence: 2 });
    assert.deepEqual(logged, ['open', 'sub']);
    assert.deepEqual(commit(), ['n2 2: Ok', 'n2 2: Ok']);
  });

  it('begins anew with a process, and hears an earlier one no more', () => {
    const { ask, answers, open, commit } = setUp();
    const c = open('c');
    ask(sub(c), { bootEpoch: 2, prev: 0, sequence: 1 });
    ask(sub(c), { bootEpoch: 1, prev: 0, sequence: 9 });
    assert.deepEqual(commit(), ['n2 1: Ok']);
    assert.deepEqual(answers, []);
  });

  it('is known to the next leader by what was logged', () => {
    const { ask, open, leader, logged } = setUp();
    const c = open('c');
    ask(sub(c));
    leader.onDeposed();
    leader.onEstablished(false);
    ask(sub(c), { prev: 0, sequence: 2 });
    assert.deepEqual(logged, ['open', 'sub']);
  });
});

describe('an OPEN that is asked again', () => {
  it('is answered with the session of its own connection, or as taken over', () => {
    const { ask, commit } = setUp();
    ask(OPEN);
    ask(OPEN, { prev: 0, sequence: 1 });
    ask({ ...OPEN, gateway: 'n3', hlc: 2, connection: 7 }, { node: 'n3' });
    // The entry of n2 is committed with that of n3, which has the session by then.
    assert.deepEqual(commit(), ['n2 1: TakenOver', 'n2 1: TakenOver', 'n3 1: Ok']);
    ask({ ...OPEN, gateway: 'n3', hlc: 2, connection: 7 }, { node: 'n3', prev: 0, sequence: 1 });
    assert.deepEqual(commit(), ['n3 1: Ok']);
  });
});

describe('answers of a leader', () => {
  it('leave when their entry is committed', () => {
    const { ask, answers, open, commit } = setUp();
    const c = open('c');
    ask(sub(c));
    assert.deepEqual(answers, []);
    assert.deepEqual(commit(), ['n2 2: Ok']);
  });

  it('wait while the view changes under it, and are forgotten once another leads', () => {
    const { ask, commit, leader, replica, logged } = setUp();
    replica.canPropose = false;
    ask(OPEN);
    assert.deepEqual(logged, []);
    replica.canPropose = true;
    leader.onEstablished(true);
    assert.deepEqual(logged, ['open']);
    replica.canPropose = false;
    ask({ ...OPEN, clientId: 'd' });
    leader.onDeposed();
    replica.canPropose = true;
    leader.onEstablished(false);
    leader.onEstablished(true);
    assert.deepEqual([logged, commit()], [['open'], []]);
  });

  it('say that it does not lead, where it does not', () => {
    const { ask, answers, leader } = setUp();
    leader.onDeposed();
    ask(OPEN);
    assert.deepEqual(answers, ['n2 1: NotLeader']);
  });

  it('that no entry vouches for are given under the leader lease', () => {
    const { ask, answers, confirming, lease } = setUp();
    ask(PUBLISH);
    assert.deepEqual(answers, []);
    confirming[0]!();
    assert.deepEqual(answers, ['n2 1: Ok']);
    lease.room = false;
    ask(PUBLISH);
    assert.deepEqual(answers.slice(1), ['n2 2: NotLeader']);
  });

  it('tell a connection that lost its session', () => {
    const { ask, answers, open, logged } = setUp();
    const old = open('c');
    open('c');
    ask(sub(old));
    ask({ type: 'unsub', ...old, filters: ['t'] });
    ask(rx2(old, 1));
    ask({ type: 'rx2done', ...old, packetId: 1 });
    assert.deepEqual(
      answers,
      [3, 4, 5, 6].map((sequence) => `n2 ${sequence}: NoSession`),
    );
    assert.deepEqual(logged, ['open', 'open']);
  });
});

describe('a publish at the leader of a shard', () => {
  it('is one entry for all sessions that match and have room', () => {
    const { ask, open, commit, state, logged, limits, counters } = setUp();
    for (const clientId of ['c', 'd']) ask(sub(open(clientId)));
    commit();
    limits.sessionQueueMessages = 1;
    ask(PUBLISH);
    assert.deepEqual(commit(), ['n2 5: Ok']);
    assert.equal(logged.filter((type) => type === 'enq').length, 1);
    assert.deepEqual(
      [...state.sessions.values()].map(({ pending }) => pending),
      [1, 1],
    );
    assert.equal(counters.queueRefused, 0);
  });

  it('is refused, and counted, if the queues of all that match are full', () => {
    const { ask, open, commit, confirming, answers, limits, counters } = setUp();
    ask(sub(open('c')));
    commit();
    limits.sessionQueueMessages = 0;
    ask(PUBLISH);
    confirming[0]!();
    assert.deepEqual([answers, counters.queueRefused], [['n2 3: QuotaExceeded'], 1]);
  });

  it('at QoS 2 that was driven before is not queued twice', () => {
    const { ask, open, commit, state } = setUp();
    ask(sub(open('c')));
    const driven: Request = { ...PUBLISH, rx2: { shard: 1, index: 5, low: 5 } };
    ask(driven);
    ask(driven, { node: 'n3' });
    assert.deepEqual(commit(), ['n2 2: Ok', 'n2 3: Ok', 'n3 1: Ok']);
    assert.equal(state.sessions.get('c')!.pending, 1);
  });
});

describe('QoS 2 from a client, at its leader', () => {
  it('stores a message once until PUBREL, whatever comes under its identifier [MQTT-4.3.3-10]', () => {
    const { ask, open, commit, logged } = setUp();
    const c = open('c');
    ask(rx2(c, 7));
    ask(rx2(c, 7));
    commit();
    ask({ type: 'rx2done', ...c, packetId: 7 });
    assert.deepEqual(commit(), ['n2 4: Ok']);
    ask(rx2(c, 7));
    assert.deepEqual(logged, ['open', 'rx2', 'rx2done', 'rx2']);
  });

  it('denies an exchange that it does not know under its lease alone', () => {
    const { ask, open, answers, confirming } = setUp();
    const c = open('c');
    ask({ type: 'rx2done', ...c, packetId: 7 });
    assert.deepEqual(answers, []);
    confirming[0]!();
    assert.deepEqual(answers, ['n2 2: NotFound']);
  });
});

describe('retained messages at the leader of their shard', () => {
  const retain = (payload: number[], hlc: number, topic = 't'): Request => ({
    type: 'retain',
    rx2: null,
    message: { ...MESSAGE, topic, payload: Uint8Array.from(payload), hlc },
  });

  it('do not go back to an older one that comes late', () => {
    const { ask, commit, logged, state } = setUp();
    ask(retain([1], 5));
    ask(retain([2], 4));
    assert.deepEqual(commit(), ['n2 1: Ok', 'n2 2: Ok']);
    assert.deepEqual([logged, state.retained.hlcOf('t')], [['retain'], 5]);
  });

  it('are refused above their bound, but for topics that have one', () => {
    const { ask, commit, limits, counters, answers } = setUp();
    limits.retainedMessagesPerShard = 1;
    ask(retain([1], 5));
    ask(retain([1], 5, 'u'));
    assert.deepEqual([answers, counters.retainedRefused], [['n2 2: QuotaExceeded'], 1]);
    ask(retain([1], 6));
    ask(retain([], 7));
    assert.deepEqual(commit(), ['n2 2: QuotaExceeded', 'n2 1: Ok', 'n2 3: Ok', 'n2 4: Ok']);
  });
});
