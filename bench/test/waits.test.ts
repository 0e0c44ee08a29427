import assert from 'node:assert/strict';
import { Prng } from '@shoal/swim/sim';
import { History, type HistoryEvent, type MessageId } from '../src/chaos/history.ts';
import { type ChannelFigures, WaitWatch } from '../src/chaos/waits/figures.ts';
import { isLate } from '../src/chaos/waits/report.ts';
import {
  CUT_SHAPES,
  type CutShape,
  concernOfCut,
  concernOfLoss,
  planChannels,
  Reach,
  type Seat,
  waysCut,
} from '../src/chaos/waits/shapes.ts';

const FIVE = ['n1', 'n2', 'n3', 'n4', 'n5'];

const reachOf = (shape: CutShape, names = FIVE): Reach => new Reach(names, waysCut(shape, names));
const sides = (reach: Reach, names = FIVE): string[] => [
  ...new Set(names.map((name) => [...reach.side(name)].sort().join(' '))),
];
const seat = (clientId: string, leader: string, ...others: string[]): Seat => ({
  clientId,
  leader,
  voters: [leader, ...others],
});

describe('shapes of cuts', () => {
  const expected: Record<CutShape, { apart: string[]; sides: string[] }> = {
    pair: { apart: ['n1 n2'], sides: ['n1 n2 n3 n4 n5'] },
    'one-way': { apart: ['n1 n2'], sides: ['n1 n2 n3 n4 n5'] },
    'one-way-all': {
      apart: ['n1 n2', 'n1 n3', 'n1 n4', 'n1 n5'],
      sides: ['n1', 'n2 n3 n4 n5'],
    },
    islands: {
      apart: ['n1 n4', 'n1 n5', 'n2 n4', 'n2 n5', 'n3 n4', 'n3 n5'],
      sides: ['n1 n2 n3', 'n4 n5'],
    },
    bridge: { apart: ['n1 n4', 'n1 n5', 'n2 n4', 'n2 n5'], sides: ['n1 n2 n3 n4 n5'] },
    isolate: { apart: ['n1 n2', 'n1 n3', 'n1 n4', 'n1 n5'], sides: ['n1', 'n2 n3 n4 n5'] },
  };
  for (const shape of CUT_SHAPES) {
    it(`${shape}: who reaches whom directly, and by way of others`, () => {
      const reach = reachOf(shape);
      const pairs = FIVE.flatMap((a, i) => FIVE.slice(i + 1).map((b) => [a, b] as const));
      const apart = pairs.filter(([a, b]) => !reach.direct(a, b)).map((pair) => pair.join(' '));
      assert.deepEqual({ apart, sides: sides(reach) }, expected[shape]);
    });
  }

  it('one-way closes one direction, all others both', () => {
    assert.deepEqual(waysCut('one-way', FIVE), [{ from: 'n1', to: 'n2' }]);
    const toBoth = new Set(waysCut('pair', FIVE).map(({ from, to }) => `${from}>${to}`));
    assert.deepEqual(toBoth, new Set(['n1>n2', 'n2>n1']));
  });

  it('every shape cuts something between three nodes, and no node from itself', () => {
    const three = FIVE.slice(0, 3);
    for (const shape of CUT_SHAPES) {
      const ways = waysCut(shape, three);
      assert.ok(ways.length > 0, shape);
      assert.ok(
        ways.every(({ from, to }) => from !== to),
        shape,
      );
    }
  });
});

describe('whom a fault concerns', () => {
  it('a session by where the majority of its voters is, and whether a cut lies between', () => {
    const { session } = concernOfCut(FIVE, waysCut('islands', FIVE));
    assert.equal(session('n1', seat('c', 'n1', 'n2', 'n3')), 'apart');
    assert.equal(session('n1', seat('c', 'n5', 'n2', 'n3')), 'touched');
    assert.equal(session('n1', seat('c', 'n1', 'n4', 'n5')), 'minority');
    assert.equal(session('n4', seat('c', 'n1', 'n4', 'n5')), 'touched');
    const pair = concernOfCut(FIVE, waysCut('pair', FIVE));
    assert.equal(pair.session('n1', seat('c', 'n1', 'n2', 'n3')), 'touched');
    assert.equal(pair.session('n1', seat('c', 'n3', 'n4', 'n5')), 'apart');
  });

  it('half of the voters is no majority', () => {
    const { session } = concernOfCut(FIVE, waysCut('islands', FIVE));
    assert.equal(session('n1', seat('c', 'n1', 'n2', 'n4', 'n5')), 'minority');
  });

  it('a live subscriber by the way to its node', () => {
    const bridge = concernOfCut(FIVE, waysCut('bridge', FIVE));
    assert.equal(bridge.live('n1', 'n3'), 'live-apart');
    assert.equal(bridge.live('n1', 'n4'), 'live-across');
    const islands = concernOfCut(FIVE, waysCut('islands', FIVE));
    assert.equal(islands.live('n1', 'n4'), 'live-beyond');
  });

  it('the loss of a node by what it had of a session', () => {
    const { session, live, publishing, listening } = concernOfLoss(FIVE, 'n2');
    assert.equal(session('n1', seat('c', 'n2', 'n3', 'n4')), 'leader-lost');
    assert.equal(session('n1', seat('c', 'n1', 'n2', 'n3')), 'copy-lost');
    assert.equal(session('n1', seat('c', 'n1', 'n3', 'n4')), 'apart');
    assert.equal(live('n1', 'n2'), 'live-lost');
    assert.deepEqual([publishing, listening], [['n1', 'n3', 'n4', 'n5'], ['n2']]);
  });

  it('each node publishes for each class that can be had, to sessions of that class', () => {
    const concern = concernOfCut(FIVE, waysCut('islands', FIVE));
    const seats: Seat[] = [];
    for (const a of FIVE) {
      for (const b of FIVE) {
        for (const c of FIVE) if (a < b && b < c) seats.push(seat(`${a}${b}${c}`, a, b, c));
      }
    }
    // Four of each: enough for two publishers and two subscribers.
    const many = [0, 1, 2, 3].flatMap((k) =>
      seats.map((one) => ({ ...one, clientId: `${one.clientId}-${k}` })),
    );
    const random = new Prng('plan');
    const channels = planChannels({ concern, seats: many, label: 'l', random, qos2: true });
    const classesAt = (node: string): string[] =>
      channels.filter(({ publisher }) => publisher.node === node).map(({ of }) => of);
    assert.deepEqual(new Set(classesAt('n1')), new Set(CLASSES_IN_THE_LARGER_ISLAND));
    assert.deepEqual(new Set(classesAt('n4')), new Set(CLASSES_IN_THE_SMALLER_ISLAND));
    for (const { of, publisher, subscriber, persistent } of channels) {
      if (!persistent) assert.equal(concern.live(publisher.node, subscriber.node), of);
      else {
        for (const { clientId } of [publisher, subscriber]) {
          const found = many.find((one) => one.clientId === clientId);
          assert.ok(found && concern.session(publisher.node, found) === of, clientId);
        }
      }
    }
    const ids = channels.flatMap(({ publisher, subscriber }) => [
      publisher.clientId,
      subscriber.clientId,
    ]);
    assert.equal(new Set(ids).size, ids.length, 'nobody has two parts');
    assert.equal(new Set(channels.map(({ topic }) => topic)).size, channels.length);
    assert.deepEqual(new Set(channels.map(({ qos }) => qos)), new Set([1, 2]));
  });
});

const CLASSES_IN_THE_LARGER_ISLAND = ['apart', 'touched', 'minority', 'live-apart', 'live-beyond'];
/** No session has all of its voters on two nodes. */
const CLASSES_IN_THE_SMALLER_ISLAND = ['touched', 'minority', 'live-apart', 'live-beyond'];

describe('waits of single publishes', () => {
  const message = (seq: number): MessageId => ({ publisher: 'p', topic: 't', qos: 1, seq });
  const sent = (seq: number, dup = false): HistoryEvent => ({
    type: 'publish-sent',
    client: 'p',
    message: message(seq),
    packetId: seq + 1,
    dup,
  });
  const acked = (seq: number): HistoryEvent => ({
    type: 'publish-acked',
    client: 'p',
    message: message(seq),
    reasonCode: 0,
  });

  function watch(...events: readonly (readonly [atMs: number, HistoryEvent])[]): WaitWatch {
    const waits = new WaitWatch();
    let nowMs = 0;
    const listeners = [waits.observe.bind(waits)];
    const history = new History({ nowMs: () => nowMs, listeners });
    for (const [atMs, event] of events) {
      nowMs = atMs;
      history.append(event);
    }
    return waits;
  }
  const FAULT = { beginMs: 100, endMs: 200, nowMs: 400 };

  it('are told apart by when the fault was', () => {
    const waits = watch(
      ...([
        [10, sent(0)],
        [15, acked(0)],
      ] as const),
      ...([
        [90, sent(1)],
        [130, acked(1)],
      ] as const),
      ...([
        [140, sent(2)],
        [160, acked(2)],
      ] as const),
      ...([
        [190, sent(3)],
        [195, sent(3, true)],
        [260, acked(3)],
        [265, acked(3)],
      ] as const),
      ...([
        [300, sent(4)],
        [307, acked(4)],
      ] as const),
    ).waitsOf('p', FAULT);
    const [beforeMs, longestMs, nextMs, heldMs, afterMs] = [5, 70, 40, 60, 7];
    const rest = { publishes: 3, abandoned: 0 };
    assert.deepEqual(waits, { beforeMs, longestMs, nextMs, heldMs, afterMs, ...rest });
  });

  it('go on until now while nobody acknowledges, and end when they are given up', () => {
    const open = watch([150, sent(0)]).waitsOf('p', FAULT);
    assert.deepEqual([open.longestMs, open.heldMs], [250, 200]);
    const given = watch(
      [150, sent(0)],
      [
        180,
        { type: 'connected', client: 'p', node: 'n1', cleanStart: true, sessionPresent: false },
      ],
    ).waitsOf('p', FAULT);
    assert.deepEqual([given.longestMs, given.heldMs, given.abandoned], [30, undefined, 1]);
  });

  it('of QoS 2 go on until PUBCOMP', () => {
    const two = { ...message(0), qos: 2 } as const;
    const waits = watch(
      [110, { type: 'publish-sent', client: 'p', message: two, packetId: 1, dup: false }],
      [120, { type: 'publish-acked', client: 'p', message: two, reasonCode: 0 }],
      [150, { type: 'publish-completed', client: 'p', message: two }],
    ).waitsOf('p', FAULT);
    assert.deepEqual([waits.longestMs, waits.heldMs], [40, undefined]);
  });

  it('tell which connections nodes ended', () => {
    const gone = (how: 'graceful' | 'lost' | 'server', reasonCode?: number): HistoryEvent => ({
      ...{ type: 'disconnected', client: 'p', node: 'n1', how },
      ...(reasonCode === undefined ? {} : { reasonCode }),
    });
    const { ends } = watch([1, gone('server', 0x89)], [2, gone('lost')], [3, gone('graceful')]);
    assert.deepEqual(ends, { '0x89': 1, lost: 1 });
  });

  it('are late if one is very long, or two are long; not without a majority', () => {
    const figures = (of: ChannelFigures['of'], longestMs: number, nextMs: number) =>
      ({ of, longestMs, nextMs }) as ChannelFigures;
    assert.equal(isLate(figures('touched', 2_900, 900)), false);
    assert.equal(isLate(figures('touched', 3_100, 0)), true);
    assert.equal(isLate(figures('touched', 1_200, 1_100)), true);
    assert.equal(isLate(figures('minority', 20_000, 20_000)), false);
  });
});
