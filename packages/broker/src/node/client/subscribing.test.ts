import assert from 'node:assert/strict';
import { DEFAULT_LIMITS } from '../../config-schema.ts';
import { DEFAULT_SERVER_SETTINGS } from '../../config-server-options.ts';
import type { ProtocolVersion, Subscribe, Unsubscribe } from '../../mqtt/packet.ts';
import { ReasonCode } from '../../mqtt/reason-code.ts';
import type { SubscriptionRequest } from '../../session/subscription.ts';
import { Line, Work } from '../work.ts';
import { Overdue } from './overdue.ts';
import type { Client, RetainedToClient } from './parts.ts';
import { serverOptions } from './server-options.ts';
import { onSubscribe, onUnsubscribe } from './subscribing.ts';

const PACKET_ID = 7;
/** Clients whose test says nothing of the bounds of filters. */
const ROOM = {
  topicLevels: 4,
  subscriptionsPerSession: 1000,
  subscriptionBytesPerSession: 1_000_000,
  nodeSubscriptionBytes: 1_000_000,
  publishesInFlight: 10,
  publishBytesInFlight: 1_000_000,
  nodePublishBytes: 1_000_000,
};

/** A connection whose session and barrier answer when the test says so. */
function setUp(how: { persistent?: boolean; limits?: Partial<typeof ROOM> } = {}) {
  const out: string[] = [];
  const session: ((ok: boolean) => void)[] = [];
  const barriers: (() => void)[] = [];
  const work = new Work(() => {});
  const subscriptions = new Map<string, SubscriptionRequest>();
  const retained = {
    expect: () => out.push('expect retained'),
    read: (wanted: readonly SubscriptionRequest[]) =>
      out.push(`read ${wanted.map(({ filter }) => filter)}`),
    leaderReads: () => out.push('leader reads'),
  };
  const ask = (_clientId: string, _epoch: number, _what: unknown, done: (ok: boolean) => void) => {
    session.push(done);
  };
  const c = {
    clientId: 'c',
    epoch: 1,
    version: 5 as ProtocolVersion,
    isOpen: true,
    persistent: how.persistent ?? true,
    rights: null,
    retained: retained as unknown as RetainedToClient,
    subscriptions,
    filterBytes: 0,
    unread: 0,
    unacknowledged: 0,
    unacknowledgedBytes: 0,
    answerBytes: 0,
    out: null,
    options: serverOptions(DEFAULT_SERVER_SETTINGS, {
      ...DEFAULT_LIMITS,
      ...ROOM,
      ...how.limits,
    }),
    port: {
      env: { nowMs: () => 0, wallMs: () => 0 },
      counters: { filterBytes: 0, publishBytes: 0 },
      limits: { ...ROOM, ...how.limits },
      live: { batch: (run: () => void) => run() },
      work,
      liveBarrier: (done: () => void) => barriers.push(done),
    },
    clients: {
      line: new Line(work),
      overdue: new Overdue(),
      crowded: new Set(),
      sessions: { subscribe: ask, unsubscribe: ask },
    },
    setLive(s: SubscriptionRequest) {
      if (!subscriptions.has(s.filter)) c.filterBytes += s.filter.length;
      subscriptions.set(s.filter, s);
    },
    dropLive: (filter: string) => subscriptions.delete(filter),
    hold: () => out.push('hold'),
    unhold: () => out.push('unhold'),
    fenced: () => out.push('fenced'),
    // Packet Identifier and no properties, then a Reason Code for each filter.
    write(frame: Uint8Array) {
      const codes = frame.subarray(frame[1]! < 128 ? 5 : 6);
      out.push(`${frame[0]! >> 4 === 9 ? 'suback' : 'unsuback'} ${[...codes]}`);
    },
  };
  return { c, client: c as unknown as Client, out, session, barriers, work };
}

function subscribe(...filters: (string | Partial<SubscriptionRequest>)[]): Subscribe {
  const subscriptions = filters.map((f) => ({
    filter: 'f',
    qos: 1 as const,
    noLocal: false,
    retainAsPublished: false,
    retainHandling: 2 as const,
    ...(typeof f === 'string' ? { filter: f } : f),
  }));
  return { packetId: PACKET_ID, subscriptions } as unknown as Subscribe;
}

function unsubscribe(...filters: string[]): Unsubscribe {
  return { packetId: PACKET_ID, filters } as unknown as Unsubscribe;
}

describe('SUBSCRIBE', () => {
  it('is answered when the session has it and every node knows it, whichever is later', () => {
    for (const order of ['session first', 'barrier first']) {
      const { client, out, session, barriers } = setUp();
      onSubscribe(client, subscribe('a'));
      const steps = [() => session[0]!(true), () => barriers[0]!()];
      if (order === 'barrier first') steps.reverse();
      steps[0]!();
      assert.deepEqual(out, [], order);
      steps[1]!();
      assert.deepEqual(out, ['suback 1'], order);
    }
  });

  it('gives each filter its Reason Code, in their order [MQTT-3.8.4-6, 3.9.3-1]', () => {
    const { client, out, session, barriers } = setUp();
    const { TopicFilterInvalid } = ReasonCode;
    onSubscribe(
      client,
      subscribe('$share/g/a', { filter: 'a', qos: 2 }, 'a/#/b', 'a/b/c/d/e', { qos: 0 }),
    );
    session[0]!(true);
    barriers[0]!();
    const codes = [1, 2, TopicFilterInvalid, TopicFilterInvalid, 0];
    assert.deepEqual(out, [`suback ${codes}`]);
  });

  it('of nothing that is granted asks no session and waits for no barrier', () => {
    const { client, out, session, barriers } = setUp();
    onSubscribe(client, subscribe('#/a'));
    assert.deepEqual(out, [`suback ${ReasonCode.TopicFilterInvalid}`]);
    assert.deepEqual([session.length, barriers.length], [0, 0]);
  });

  it('is refused above the bounds of a session and of a node, but for a filter that is there', () => {
    const bounds = [
      { subscriptionsPerSession: 1 },
      { subscriptionBytesPerSession: 1 },
      { nodeSubscriptionBytes: 0 },
    ];
    for (const limits of bounds) {
      const { c, client, out, session, barriers } = setUp({ limits });
      c.setLive({ ...subscribe('a').subscriptions[0]!, identifier: 0 });
      onSubscribe(client, subscribe('a', 'b'));
      session[0]!(true);
      barriers[0]!();
      assert.deepEqual(out, [`suback 1,${ReasonCode.QuotaExceeded}`], JSON.stringify(limits));
    }
  });

  it('reads retained messages as Retain Handling says, after SUBACK [MQTT-3.3.1-9 to 11]', () => {
    const { client, out, barriers } = setUp({ persistent: false });
    const again = (retainHandling: 0 | 1 | 2) => {
      onSubscribe(client, subscribe({ filter: 'a', retainHandling }));
      barriers.shift()!();
      return out.splice(0);
    };
    assert.deepEqual(again(2), ['suback 1']);
    assert.deepEqual(again(1), ['suback 1']);
    assert.deepEqual(again(0), ['expect retained', 'suback 1', 'read a']);
  });

  it('leaves the retained messages of a stored session to its leader', () => {
    const { client, out, session, barriers } = setUp();
    onSubscribe(client, subscribe({ retainHandling: 1 }));
    barriers[0]!();
    session[0]!(true);
    assert.deepEqual(out, ['expect retained', 'suback 1', 'leader reads']);
  });

  it('of a connection that lost its session fences it', () => {
    const { c, client, out, session, barriers } = setUp();
    c.fenced = () => {
      c.isOpen = false;
      return out.push('fenced');
    };
    onSubscribe(client, subscribe('a'));
    session[0]!(false);
    barriers[0]!();
    assert.deepEqual(out, ['fenced']);
    assert.equal(c.unacknowledged, 0);
  });

  it('with many filters holds its connection and goes on in later turns', () => {
    const { c, client, out, session, barriers, work } = setUp();
    const filters = Array.from({ length: 250 }, (_, n) => `f${n}`);
    onSubscribe(client, subscribe(...filters));
    assert.deepEqual([out, c.subscriptions.size], [['hold'], 0]);
    work.run();
    assert.ok(c.subscriptions.size > 0);
    while (work.waiting > 0) work.run();
    assert.equal(c.subscriptions.size, 250);
    session[0]!(true);
    barriers[0]!();
    assert.deepEqual(out, ['hold', 'unhold', `suback ${filters.map(() => 1)}`]);
  });

  it('with many filters ends with its connection', () => {
    const { c, client, out, work } = setUp();
    onSubscribe(client, subscribe(...Array.from({ length: 250 }, (_, n) => `f${n}`)));
    c.isOpen = false;
    while (work.waiting > 0) work.run();
    assert.deepEqual([out, c.subscriptions.size], [['hold'], 0]);
  });
});

describe('UNSUBSCRIBE', () => {
  it('is answered when the session has it, each filter by its own code [MQTT-3.11.3-1]', () => {
    const { c, client, out, session } = setUp();
    c.setLive({ ...subscribe('a').subscriptions[0]!, identifier: 0 });
    onUnsubscribe(client, unsubscribe('a', 'b', '#/c'));
    assert.deepEqual(out, []);
    session[0]!(true);
    const { Success, NoSubscriptionExisted, TopicFilterInvalid } = ReasonCode;
    assert.deepEqual(out, [`unsuback ${[Success, NoSubscriptionExisted, TopicFilterInvalid]}`]);
  });

  it('of a connection that lost its session fences it', () => {
    const { client, out, session } = setUp();
    onUnsubscribe(client, unsubscribe('a'));
    session[0]!(false);
    assert.deepEqual(out, ['fenced']);
  });
});
