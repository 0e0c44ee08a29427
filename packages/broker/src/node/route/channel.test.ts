import assert from 'node:assert/strict';
import fc from 'fast-check';
import { OK, type Reply, type Request, reply, Status } from '../link/request.ts';
import { ShardChannel, type Transmit } from './channel.ts';

interface Sent {
  readonly sequence: number;
  readonly prev: number;
}

function request(n: number): Request {
  return { type: 'delete', clientId: `c${n}` };
}

class Wired {
  readonly channel: ShardChannel;
  /** Since the last {@link take}. */
  sent: Sent[] = [];
  readonly answered: string[] = [];
  /** Requests for which there is room on the way to the leader. */
  room = Number.POSITIVE_INFINITY;
  /** What a leader does at once. */
  onSend: (sequence: number) => void = () => {};

  constructor() {
    const transmit: Transmit = (shard, sequence, prev, q) => {
      assert.equal(shard, 7);
      assert.equal((q as { clientId: string }).clientId, `c${sequence}`);
      this.sent.push({ sequence, prev });
      this.onSend(sequence);
      this.room--;
    };
    this.channel = new ShardChannel(7, transmit, () => this.room <= 0);
  }

  send(n: number): void {
    this.channel.send(request(n), ({ status }) => this.answered.push(`${n}:${status}`));
  }

  reply(sequence: number, answer: Reply = OK, nowMs = 0): void {
    this.channel.onReply(sequence, answer, nowMs);
  }

  take(): [number, number][] {
    const sent = this.sent.map(({ sequence, prev }): [number, number] => [sequence, prev]);
    this.sent = [];
    return sent;
  }
}

describe('ShardChannel: link retries append once', () => {
  it('sends in order, each with the one sent before it, the first with none', () => {
    const wired = new Wired();
    wired.channel.open();
    for (const n of [1, 2, 3]) wired.send(n);
    assert.deepEqual(wired.take(), [
      [1, 0],
      [2, 1],
      [3, 2],
    ]);
    wired.reply(2);
    wired.reply(1);
    wired.send(4);
    assert.deepEqual(wired.take(), [[4, 3]]);
    assert.deepEqual([wired.answered, wired.channel.outstanding], [['2:0', '1:0'], 2]);
  });

  it('keeps what is asked for while no leader is known, and sends it once one is', () => {
    const wired = new Wired();
    wired.send(1);
    wired.send(2);
    assert.deepEqual(
      [wired.take(), wired.channel.takes, wired.channel.outstanding],
      [[], false, 2],
    );
    wired.channel.open();
    assert.deepEqual(wired.take(), [
      [1, 0],
      [2, 1],
    ]);
    assert.equal(wired.channel.takes, true);
  });

  it('sends everything unanswered to a new leader, the first with prev 0', () => {
    const wired = new Wired();
    wired.channel.open();
    for (const n of [1, 2, 3, 4]) wired.send(n);
    wired.reply(1);
    wired.reply(3);
    wired.channel.close();
    wired.send(5);
    wired.take();
    wired.channel.open();
    assert.deepEqual(wired.take(), [
      [2, 0],
      [4, 2],
      [5, 4],
    ]);
  });

  it('sends as much as there is room for, and the rest in order when there is more', () => {
    const wired = new Wired();
    wired.channel.open();
    wired.room = 2;
    for (const n of [1, 2, 3, 4]) wired.send(n);
    assert.deepEqual(wired.take(), [
      [1, 0],
      [2, 1],
    ]);
    assert.equal(wired.channel.takes, false);
    wired.reply(1);
    wired.room = 1;
    wired.channel.resume();
    assert.deepEqual(wired.take(), [[3, 2]]);
    wired.send(5);
    wired.room = 9;
    wired.channel.resume();
    assert.deepEqual(wired.take(), [
      [4, 3],
      [5, 4],
    ]);
    wired.send(6);
    assert.deepEqual(wired.take(), [[6, 5]]);
  });

  it('sends again to a new leader at the pace of the way to it', () => {
    const wired = new Wired();
    wired.channel.open();
    for (const n of [1, 2, 3, 4]) wired.send(n);
    wired.take();
    wired.reply(2);
    wired.channel.close();
    wired.room = 1;
    wired.channel.open();
    assert.deepEqual(wired.take(), [[1, 0]]);
    wired.send(5);
    wired.room = 2;
    wired.channel.resume();
    assert.deepEqual(wired.take(), [
      [3, 1],
      [4, 3],
    ]);
    wired.channel.close();
    wired.room = 9;
    wired.channel.resume();
    assert.deepEqual(wired.take(), [], 'there is no leader');
    wired.channel.open();
    assert.deepEqual(wired.take(), [
      [1, 0],
      [3, 1],
      [4, 3],
      [5, 4],
    ]);
  });

  it('takes one answer for each request, late ones of an old leader included', () => {
    const wired = new Wired();
    wired.channel.open();
    wired.send(1);
    wired.channel.close();
    wired.reply(1);
    wired.reply(1);
    wired.reply(99);
    assert.deepEqual(wired.answered, ['1:0']);
    wired.channel.open();
    assert.equal(wired.take().length, 1);
  });

  it('passes a refusal on, but waits and asks again where the leader is another or has a gap', () => {
    for (const status of [Status.Gap, Status.NotLeader]) {
      const wired = new Wired();
      wired.channel.open();
      wired.send(1);
      wired.send(2);
      wired.reply(1, reply(status), 1000);
      assert.deepEqual([wired.channel.isOpen, wired.channel.retryAtMs], [false, 1050]);
      assert.deepEqual([wired.answered, wired.channel.outstanding], [[], 2]);
    }
    const wired = new Wired();
    wired.channel.open();
    wired.send(1);
    wired.reply(1, reply(Status.QuotaExceeded));
    assert.deepEqual([wired.answered, wired.channel.isOpen], [['1:4'], true]);
  });

  it('stops sending again as soon as the new leader refuses', () => {
    const wired = new Wired();
    for (const n of [1, 2, 3]) wired.send(n);
    wired.onSend = (sequence) => wired.reply(sequence, reply(Status.NotLeader));
    wired.channel.open();
    assert.deepEqual([wired.take(), wired.channel.outstanding], [[[1, 0]], 3]);
  });

  it('lets nothing asked for within an answer overtake what is still to be sent again', () => {
    const wired = new Wired();
    for (const n of [1, 2, 3]) wired.send(n);
    wired.onSend = (sequence) => {
      if (sequence !== 1) return;
      assert.equal(wired.channel.takes, false);
      wired.reply(1);
      wired.send(4);
      // One that is to go in a frame of its own waits as well.
      const reserved = wired.channel.reserve(request(5), () => {});
      assert.equal(wired.channel.claim(reserved), -1);
    };
    wired.channel.open();
    assert.deepEqual(wired.take(), [
      [1, 0],
      [2, 1],
      [3, 2],
      [4, 3],
      [5, 4],
    ]);
  });

  it('counts a reserved request in its place: sent by its caller, sent again by the channel', () => {
    const wired = new Wired();
    const early = wired.channel.reserve(request(1), () => {});
    assert.equal(wired.channel.claim(early), -1);
    wired.channel.open();
    wired.take();
    const reserved = wired.channel.reserve(request(2), () => {});
    assert.equal(wired.channel.claim(reserved), 1);
    wired.send(3);
    assert.deepEqual(wired.take(), [[3, 2]]);
    wired.channel.open();
    assert.deepEqual(wired.take(), [
      [1, 0],
      [2, 1],
      [3, 2],
    ]);
  });

  it('has each request appended once and in order, whatever leaders, links and answers do', () => {
    const step = fc.constantFrom('send', 'send', 'deliver', 'answer', 'answer', 'lose', 'elect');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const log: number[] = [];
        const wired = new Wired();
        let asked = 0;
        // A leader as in leader.ts: takes one only after the one sent before it, answers what it
        // has again, and starts from the log.
        let lastSeen = 0;
        let inbox: Sent[] = [];
        let outbox: { sequence: number; answer: Reply }[] = [];
        const deliver = () => {
          const next = inbox.shift();
          if (!next) return;
          let answer = OK;
          if (next.prev > lastSeen) answer = reply(Status.Gap);
          else if (next.sequence > lastSeen) {
            lastSeen = next.sequence;
            log.push(next.sequence);
          }
          outbox.push({ sequence: next.sequence, answer });
        };
        const answer = () => {
          const next = outbox.shift();
          if (next) wired.reply(next.sequence, next.answer);
        };
        wired.onSend = () => inbox.push(...wired.sent.splice(0));
        const lose = () => {
          wired.channel.close();
          inbox = [];
          outbox = [];
        };
        const elect = () => {
          lose();
          lastSeen = log.at(-1) ?? 0;
          wired.channel.open();
        };
        for (const s of steps) {
          if (s === 'send') wired.send(++asked);
          else if (s === 'deliver') deliver();
          else if (s === 'answer') answer();
          else if (s === 'lose') lose();
          else elect();
        }
        elect();
        while (inbox.length > 0) deliver();
        while (outbox.length > 0) answer();
        const all = Array.from({ length: asked }, (_, i) => i + 1);
        assert.deepEqual(log, all);
        assert.equal(wired.channel.outstanding, 0);
        assert.deepEqual([...wired.answered].sort(), all.map((n) => `${n}:0`).sort());
      }),
      { numRuns: 500 },
    );
  });
});
