import assert from 'node:assert/strict';
import { BytesError, Reader } from '../../bytes.ts';
import { FRAME_BYTES_MAX, Inbox, Lane, Outbox, pages } from './lanes.ts';

const MIB = 1024 * 1024;

/** Both ends of a link: what is sent arrives in order when `carry` is called. */
class Pair {
  readonly out = new Outbox();
  readonly in = new Inbox();
  nowMs = 0;
  /** Longest frame, bytes under way at the most. */
  longest = 0;
  most = 0;
  #wire: Uint8Array[] = [];

  write(lane: Lane, text: string): void {
    this.out.writer(lane, () => 7).str(text);
  }

  flush(): void {
    for (const frame of this.out.take(this.nowMs, () => 7)) {
      this.longest = Math.max(this.longest, frame.length);
      this.#wire.push(frame);
    }
    this.most = Math.max(this.most, this.out.underWayBytes);
  }

  /** @returns the messages that arrive, by lane, in order */
  carry(): [number, string][] {
    const got: [number, string][] = [];
    for (const frame of this.#wire.splice(0)) {
      const unit = this.in.take(frame);
      if (!unit) continue;
      const r = new Reader(unit, 1);
      assert.equal(r.f64(), 7);
      while (!r.done) got.push([unit[0]! & 3, r.str()]);
      this.in.read(unit);
    }
    return got;
  }

  /** Word of what was taken comes back after `ms`. */
  credit(ms = 0): void {
    this.nowMs += ms;
    if (this.in.owesCredit) this.out.credit(this.in.tellCredit(), this.nowMs);
  }

  /** Until nothing waits. */
  drain(): [number, string][] {
    const got: [number, string][] = [];
    for (let turn = 0; turn < 10_000; turn++) {
      this.flush();
      const came = this.carry();
      got.push(...came);
      if (came.length === 0 && this.out.waitingBytes === 0) return got;
      this.credit();
    }
    return assert.fail('it never drains');
  }
}

describe('lanes', () => {
  it('cut what a turn writes into frames between messages, in order', () => {
    const pair = new Pair();
    const sent = Array.from({ length: 300 }, (_, i) => `${i}`.padEnd(50_000, 'x'));
    for (const text of sent) pair.write(Lane.Bulk, text);
    const got = pair.drain().map(([, text]) => text);
    assert.deepEqual(got, sent);
    assert.ok(pair.longest < 320 * 1024, `${pair.longest}`);
  });

  it('carry a message of any size, in frames of 1 MiB at most, and others between its parts', () => {
    const pair = new Pair();
    const large = 'l'.repeat(20 * MIB);
    pair.write(Lane.Bulk, large);
    pair.write(Lane.Bulk, 'behind');
    pair.flush();
    pair.write(Lane.Announce, 'between');
    pair.write(Lane.Urgent, 'first');
    pair.flush();
    const got = pair.drain();
    const order = got.map(([lane, text]) => [lane, text.length === large.length ? 'large' : text]);
    assert.deepEqual(order, [
      [Lane.Urgent, 'first'],
      [Lane.Announce, 'between'],
      [Lane.Bulk, 'large'],
      [Lane.Bulk, 'behind'],
    ]);
    assert.equal(got[2]![1], large);
    assert.equal(pair.longest, FRAME_BYTES_MAX);
  });

  it('keep what is under way within a window and a frame, and urgent words out of it', () => {
    const pair = new Pair();
    for (let i = 0; i < 400; i++) pair.write(Lane.Bulk, 'x'.repeat(100_000));
    pair.flush();
    const [first, ...rest] = pair.carry();
    assert.ok(first && rest.length < 20);
    // No credit came: nothing more leaves but what is urgent.
    pair.write(Lane.Urgent, 'heartbeat');
    pair.flush();
    assert.deepEqual(pair.carry(), [[Lane.Urgent, 'heartbeat']]);
    pair.credit();
    pair.drain();
    assert.ok(pair.most <= 5 * MIB, `${pair.most}`);
  });

  it('write a list page by page, in its place among what is written before and after', () => {
    const pair = new Pair();
    const items = Array.from({ length: 500 }, (_, i) => `${i}`.padEnd(10_000, 'y'));
    let written = 0;
    pair.write(Lane.Announce, 'before');
    const list = pages(
      items,
      (text) => text.length,
      (w, page, { first, last }) => {
        written += page.length;
        for (const text of page) w.str(text);
        if (first) w.str('first');
        if (last) w.str('last');
      },
    );
    pair.out.later(Lane.Announce, list);
    pair.write(Lane.Announce, 'after');
    pair.flush();
    assert.ok(written < items.length, 'it waits for credit to write more');
    const announced = pair.out.announced;
    const got = pair.drain().map(([, text]) => text);
    assert.deepEqual(got.slice(0, 2), ['before', items[0]]);
    assert.deepEqual(
      got.filter((text) => text.length === 10_000),
      items,
    );
    assert.deepEqual(got.slice(-2), ['last', 'after']);
    assert.equal(got.filter((text) => text === 'first').length, 1);
    assert.equal(pair.in.announced, announced, 'all its pages are one announcement');
    assert.ok(pair.longest < 100_000, `${pair.longest}`);
  });

  it('write an empty list as one page', () => {
    const pair = new Pair();
    const list = pages(
      [],
      () => 1,
      (w, page, at) => w.str(JSON.stringify([page, at])),
    );
    pair.out.later(Lane.Bulk, list);
    assert.deepEqual(pair.drain(), [[Lane.Bulk, '[[],{"first":true,"last":true}]']]);
  });

  it('say when there is no room, and once when there is again', () => {
    const pair = new Pair();
    assert.equal(pair.out.full, false);
    for (let i = 0; i < 40; i++) pair.write(Lane.Bulk, 'x'.repeat(100_000));
    assert.equal(pair.out.full, true);
    pair.flush();
    assert.equal(pair.out.drained(), false);
    pair.drain();
    assert.equal(pair.out.drained(), true);
    assert.equal(pair.out.drained(), false);
  });

  it('let less be under way to a peer that is slow, and more again when it is not', () => {
    const pair = new Pair();
    const underWay = (ms: number): number => {
      while (pair.out.waitingBytes < 8 * MIB) pair.write(Lane.Bulk, 'x'.repeat(100_000));
      pair.flush();
      const bytes = pair.out.underWayBytes;
      pair.carry();
      pair.credit(ms);
      return bytes;
    };
    const first = underWay(500);
    for (let i = 0; i < 10; i++) underWay(500);
    const slow = underWay(500);
    assert.ok(slow < first / 2, `${slow} of ${first}`);
    for (let i = 0; i < 10; i++) underWay(1);
    assert.ok(underWay(1) > first, 'it grows again');
  });

  it('refuse credit for what was not sent, and a frame that is in no lane', () => {
    const pair = new Pair();
    assert.throws(() => pair.out.credit(1, 0), BytesError);
    assert.throws(() => pair.in.take(Uint8Array.of(3)), BytesError);
    assert.throws(() => pair.in.take(Uint8Array.of(16)), BytesError);
    assert.throws(() => pair.in.take(new Uint8Array(0)), BytesError);
  });

  it('refuse a message that goes on and on, before they hold more than the limit of it', () => {
    const inbox = new Inbox();
    const frame = new Uint8Array(FRAME_BYTES_MAX);
    frame[0] = Lane.Bulk | 4;
    let frames = 0;
    const more = () => {
      for (; frames < 1000; frames++) inbox.take(frame);
    };
    assert.throws(more, BytesError);
    assert.ok(frames < 325, `${frames}`);
  });
});
