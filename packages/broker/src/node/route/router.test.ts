import assert from 'node:assert/strict';
import { MESSAGE } from '../../../test/samples.ts';
import { Reader, Writer } from '../../bytes.ts';
import { ReasonCode } from '../../mqtt/reason-code.ts';
import { EVERY_SUBSCRIPTION, type Message } from '../../session/message.ts';
import { LinkMessage } from '../link/link-message.ts';
import type { Peer } from '../link/peers.ts';
import { OK, type Reply, type Request, reply, Status } from '../link/request.ts';
import { Wire } from '../link/wire.ts';
import type { RoutePort } from './route-port.ts';
import { Router } from './router.ts';

const STAMP = 500;

interface Handled {
  readonly shard: number;
  readonly sequence: number;
  readonly prev: number;
  readonly request: Request;
  readonly respond: (reply: Reply) => void;
}

/** Node n1 that leads shards 0 and 1; n2 leads 2 and 3. */
function setUp() {
  const handled: Handled[] = [];
  const told: string[] = [];
  const out = new Writer();
  const leaderOf = ['n1', 'n1', 'n2', 'n2'];
  const n2 = { name: 'n2', up: true, bootEpoch: 4 };
  const flags = { routable: true, crowded: false, full: false };
  const matched = {
    nodes: [] as string[],
    zeroNodes: [] as string[],
    shards: [] as number[],
    groups: [],
  };
  const port = {
    name: 'n1',
    bootEpoch: 7,
    shardCount: 2,
    counters: { messagesDropped: 0 },
    env: { nowMs: () => 0, log: () => {} },
    clock: { next: () => STAMP, ageMs: (hlc: number) => (STAMP - hlc) * 4 },
    routes: { match: () => matched },
    endMissed: () => told.push('ended'),
    live: {
      deliver(message: Message) {
        told.push(`live ${message.hlc}`);
        return null;
      },
    },
    grants: { routable: () => flags.routable },
    views: { leader: (shard: number) => leaderOf[shard] },
    peers: {
      get: () => n2,
      to: () => (n2.up ? out : null),
      full: () => flags.full,
      crowded: () => flags.crowded,
    },
    leaders: leaderOf.map((_, shard) => ({
      shard,
      serving: true,
      handle(
        origin: { sequence: number },
        prev: number,
        request: Request,
        respond: (reply: Reply) => void,
      ) {
        handled.push({ shard, sequence: origin.sequence, prev, request, respond });
      },
    })),
  };
  const router = new Router(port as unknown as RoutePort);
  const publish = (message = MESSAGE, how: { wanted?: boolean; rx2?: boolean } = {}) => {
    const rx2 = how.rx2 ? { shard: 0, index: 1, low: 1 } : null;
    router.publish(message, rx2, {
      wanted: how.wanted ?? true,
      slowed: () => told.push('slowed'),
      published: (reasonCode) => told.push(`published ${reasonCode}`),
    });
  };
  return { router, publish, handled, told, out, matched, flags, port, leaderOf, n2 };
}

describe('what a publisher hears', () => {
  it('that nothing matches, at once', () => {
    const { publish, told } = setUp();
    publish();
    assert.deepEqual(told, [`published ${ReasonCode.NoMatchingSubscribers}`]);
  });

  it('nothing before all that match have the message', () => {
    const { publish, matched, handled, told } = setUp();
    matched.shards = [0, 1];
    publish();
    handled[0]!.respond(OK);
    assert.deepEqual(told, []);
    handled[1]!.respond(OK);
    assert.deepEqual(told, ['published 0']);
  });

  it('Quota exceeded if all refuse, and Success if one of them does not', () => {
    for (const [last, reasonCode] of [
      [OK, ReasonCode.Success],
      [reply(Status.QuotaExceeded), ReasonCode.QuotaExceeded],
    ] as const) {
      const { publish, matched, handled, told } = setUp();
      matched.shards = [0, 1];
      publish();
      handled[0]!.respond(reply(Status.QuotaExceeded));
      handled[1]!.respond(last);
      assert.deepEqual(told, [`published ${reasonCode}`]);
    }
  });

  it('Quota exceeded if the message could not be retained, whoever has it', () => {
    const { publish, matched, handled, told } = setUp();
    matched.nodes = ['n1'];
    publish({ ...MESSAGE, retain: true });
    assert.deepEqual(told, ['live 1']);
    handled[0]!.respond(reply(Status.QuotaExceeded));
    assert.deepEqual(told, ['live 1', `published ${ReasonCode.QuotaExceeded}`]);
  });
});

describe('a publish without the route lease', () => {
  it('waits, in order, and is stamped anew when it may be routed', () => {
    const { router, publish, matched, flags, told } = setUp();
    matched.nodes = ['n1'];
    flags.routable = false;
    publish();
    router.release();
    assert.deepEqual([told, router.outstanding], [[], 1]);
    flags.routable = true;
    // One that comes now does not overtake it.
    publish({ ...MESSAGE, hlc: 2 });
    assert.deepEqual(told, []);
    router.release();
    const first = [`live ${STAMP}`, 'published 0'];
    assert.deepEqual(told, [...first, ...first]);
  });

  it('keeps its stamp at QoS 2: its log entry has it', () => {
    const { router, publish, matched, flags, told } = setUp();
    matched.nodes = ['n1'];
    flags.routable = false;
    publish(MESSAGE, { rx2: true });
    flags.routable = true;
    router.release();
    assert.deepEqual(told, ['live 1', 'published 0']);
  });

  it('is not routed once its publisher is gone: the client sends it again', () => {
    const { router, publish, matched, flags, told } = setUp();
    matched.nodes = ['n1'];
    flags.routable = false;
    publish(MESSAGE, { wanted: false });
    flags.routable = true;
    router.release();
    assert.deepEqual(told, ['published 0']);
  });
});

describe('a message for several shards of one other leader', () => {
  it('goes there once, with a number for each shard', () => {
    const { publish, matched, handled, out } = setUp();
    matched.shards = [0, 2, 3];
    publish();
    publish();
    assert.equal(handled.length, 2);
    const r = new Reader(out.take());
    for (const sequence of [1, 2]) {
      assert.equal(r.u8(), Wire.Publish);
      const { numbers, message } = LinkMessage.Publish.read(r);
      const prev = sequence - 1;
      assert.deepEqual(numbers, [
        { shard: 2, sequence, prev },
        { shard: 3, sequence, prev },
      ]);
      assert.equal(message.topic, 't');
    }
    assert.ok(r.done);
  });

  it('is sent again to the next leader of one of them, the first with no number before it', () => {
    const { router, publish, matched, handled, leaderOf, told } = setUp();
    matched.shards = [2, 3];
    publish();
    leaderOf[3] = 'n1';
    router.onLeader(3);
    assert.deepEqual(
      handled.map(({ shard, sequence, prev }) => [shard, sequence, prev]),
      [[3, 1, 0]],
    );
    handled[0]!.respond(OK);
    assert.deepEqual(told, []);
    assert.equal(router.outstanding, 1);
  });
});

describe('the retained copy of a Will', () => {
  it('gets a normal stamp, while the Will itself matches every subscription', () => {
    const { publish, matched, handled, told } = setUp();
    matched.nodes = ['n1'];
    publish({ ...MESSAGE, retain: true, hlc: EVERY_SUBSCRIPTION });
    assert.deepEqual(told, [`live ${EVERY_SUBSCRIPTION}`]);
    const { request } = handled[0]!;
    assert.equal(request.type === 'retain' && request.message.hlc, STAMP);
  });
});

describe('QoS 0', () => {
  it('is dropped and counted on the way to a node that is behind', () => {
    const { router, matched, flags, port, out } = setUp();
    matched.zeroNodes = ['n2'];
    flags.crowded = true;
    router.publishZero({ ...MESSAGE, qos: 0 });
    assert.deepEqual([out.length, port.counters.messagesDropped], [0, 1]);
    flags.crowded = false;
    router.publishZero({ ...MESSAGE, qos: 0 });
    assert.equal(new Reader(out.take()).u8(), Wire.QosZero);
  });
});

describe('a request of another node', () => {
  const asked = (shard: number) => {
    const w = new Writer();
    LinkMessage.Request.write(
      w,
      { shard, sequence: 9, prev: 8 },
      { type: 'delete', clientId: 'c' },
    );
    return new Reader(w.take(), 1);
  };

  it('is answered on the link, and not to a process that was started since', () => {
    const { router, handled, out, n2 } = setUp();
    const peer = n2 as unknown as Peer;
    router.onRequest(peer, asked(0));
    router.onRequest(peer, asked(0));
    handled[0]!.respond(OK);
    const r = new Reader(out.take());
    assert.equal(r.u8(), Wire.Reply);
    assert.deepEqual(LinkMessage.Reply.read(r), { shard: 0, sequence: 9, reply: OK });
    n2.bootEpoch++;
    handled[1]!.respond(OK);
    assert.equal(out.length, 0);
  });

  it('about a shard that is not here is told so', () => {
    const { router, out, n2 } = setUp();
    router.onRequest(n2 as unknown as Peer, asked(4));
    const r = new Reader(out.take());
    assert.equal(r.u8(), Wire.Reply);
    assert.equal(LinkMessage.Reply.read(r).reply.status, Status.NotLeader);
  });
});

describe('a live message that was under way for long', () => {
  /** What n2 says to n1, whose answers are in `out`. */
  const setUpLive = () => {
    const parts = setUp();
    const { router, n2 } = parts;
    const peer = n2 as unknown as Peer;
    const said = (write: (w: Writer) => void) => {
      const w = new Writer();
      write(w);
      return new Reader(w.take(), 1);
    };
    const live = (sequence: number, hlc: number) =>
      router.onLivePublish(
        peer,
        said((w) =>
          LinkMessage.LivePublish.write(w, { sequence, rx2: null, message: { ...MESSAGE, hlc } }),
        ),
      );
    const answers = () => {
      const r = new Reader(parts.out.take());
      const kinds: [kind: number, sequence: number][] = [];
      while (!r.done) kinds.push([r.u8(), r.varint()]);
      return kinds;
    };
    return { ...parts, peer, said, live, answers };
  };

  it('is delivered, with what followed it, once its sender says that it waits for it', () => {
    const { router, told, peer, said, live, answers } = setUpLive();
    live(1, 1);
    live(2, STAMP);
    assert.deepEqual([told, answers()], [[], [[Wire.LiveAsk, 1]]]);
    const awaited = said((w) => LinkMessage.LiveAwaited.write(w, 1));
    router.onLiveAwaited(peer, awaited);
    assert.deepEqual(told, ['live 1', `live ${STAMP}`]);
    assert.deepEqual(answers(), [
      [Wire.LiveAck, 1],
      [Wire.LiveAck, 2],
    ]);
  });

  it('never follows what its publisher has published since: given up, it is dropped', () => {
    const { router, told, peer, said, live, answers } = setUpLive();
    live(1, 1);
    answers();
    const missed = { everything: false, topics: ['t'], hlc: 1 };
    router.onLiveGap(
      peer,
      said((w) => LinkMessage.LiveGap.write(w, 2, missed)),
    );
    router.onLiveAwaited(
      peer,
      said((w) => LinkMessage.LiveAwaited.write(w, 1)),
    );
    assert.deepEqual([told, answers()], [['ended'], [[Wire.LiveAck, 2]]]);
  });

  it('is not called awaited by a sender that has given this node up', () => {
    const { router, publish, matched, peer, said, answers, out } = setUpLive();
    matched.nodes = ['n2'];
    publish();
    const ask = () => said((w) => LinkMessage.LiveAsk.write(w, 1));
    out.reset();
    router.onLiveAsk(peer, ask());
    assert.deepEqual(answers(), [[Wire.LiveAwaited, 1]]);
    router.onPeerLost('n2');
    out.reset();
    router.onLiveAsk(peer, ask());
    assert.equal(out.length, 0);
  });
});
