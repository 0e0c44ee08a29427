import assert from 'node:assert/strict';
import { Reader, Writer } from '../../bytes.ts';
import type { Message } from '../../session/message.ts';
import { LinkMessage } from '../link/link-message.ts';
import type { MissedMessages } from '../link/missed-messages.ts';
import { Wire } from '../link/wire.ts';
import { LiveChannel } from './live-channel.ts';
import { GAP_CHARACTERS_MAX, GAP_TOPICS_MAX } from './live-gap.ts';
import { LiveReceived } from './live-received.ts';

const message = (topic: string, hlc = 1): Message => ({
  topic,
  payload: new Uint8Array(),
  qos: 1,
  retain: false,
  properties: new Uint8Array(),
  hlc,
  publisher: 'p',
  expiresAtMs: 0,
});

const nobody = { wanted: true, slowed: () => {}, published: () => {} };

/** What a channel is given to send. */
const live = (topic: string, hlc = 1, done = () => {}) => ({
  message: message(topic, hlc),
  rx2: null,
  publisher: nobody,
  done,
});

/** What a node takes from one channel, and its acknowledgements back. */
class Node {
  readonly received = new LiveReceived();
  readonly topics: string[] = [];
  readonly missed: MissedMessages[] = [];
  readonly w = new Writer(1024);

  #deliver(topic: string): null {
    this.topics.push(topic);
    return null;
  }

  #publish(r: Reader): number {
    const live = LinkMessage.LivePublish.read(r);
    return this.received.take('a', 1, live, ({ topic }) => this.#deliver(topic)).sequence;
  }

  #gap(r: Reader): number {
    const { sequence, missed } = LinkMessage.LiveGap.read(r);
    this.received.takeGap('a', 1, sequence, () => this.missed.push(missed));
    return sequence;
  }

  read(channel: LiveChannel): void {
    const r = new Reader(this.w.take().slice());
    while (!r.done) {
      channel.onAck(r.u8() === Wire.LivePublish ? this.#publish(r) : this.#gap(r), this.w);
    }
  }
}

function givenUp(): { channel: LiveChannel; node: Node } {
  const channel = new LiveChannel();
  const node = new Node();
  channel.giveUp(node.w);
  return { channel, node };
}

describe('LiveChannel', () => {
  it('sends what there is room for, and the rest in order when there is more', () => {
    const channel = new LiveChannel();
    const node = new Node();
    let done = 0;
    const send = (topic: string, room: boolean) =>
      channel.send(
        room ? node.w : null,
        live(topic, 1, () => done++),
      );
    send('a', true);
    send('b', false);
    // There is room again, but not for what would overtake.
    send('c', true);
    node.read(channel);
    assert.deepEqual([node.topics, done], [['a'], 1]);
    let room = 1;
    channel.resume(node.w, () => room-- <= 0);
    node.read(channel);
    assert.deepEqual([node.topics, done], [['a', 'b'], 2]);
    channel.resume(node.w, () => false);
    send('d', true);
    node.read(channel);
    assert.deepEqual([node.topics, done], [['a', 'b', 'c', 'd'], 4]);
    send('e', false);
    channel.giveUp(node.w);
    node.read(channel);
    send('f', true);
    node.read(channel);
    assert.deepEqual([node.topics, node.missed[0]?.topics], [['a', 'b', 'c', 'd', 'f'], ['e']]);
    assert.equal(done, 6);
  });

  it('does not give up a node that takes what it is sent, while more waits', () => {
    const channel = new LiveChannel();
    channel.send(null, live('a'));
    let nowMs = 0;
    for (; nowMs < 10_000; nowMs += 100)
      assert.equal(
        channel.tick(nowMs, nowMs, () => null, true),
        false,
      );
    for (; nowMs < 11_400; nowMs += 100)
      assert.equal(
        channel.tick(nowMs, nowMs, () => null),
        false,
      );
    assert.equal(
      channel.tick(nowMs, nowMs, () => null),
      true,
    );
  });

  it('gives a node that was silent before no more time than one that falls silent now', () => {
    const channel = new LiveChannel();
    let nowMs = 0;
    const tick = () => {
      nowMs += 100;
      return channel.tick(nowMs, 1000, () => null);
    };
    while (nowMs < 2400) assert.equal(tick(), false, 'nothing is pending');
    channel.send(null, live('a'));
    assert.equal(tick(), false);
    assert.equal(tick(), true, '1.5 s after it was heard last');
  });

  it('counts the silence of the other node by its own looks', () => {
    const channel = new LiveChannel();
    let done = 0;
    channel.send(
      null,
      live('a', 1, () => done++),
    );
    assert.equal(
      channel.tick(0, 0, () => null),
      false,
    );
    assert.equal(
      channel.tick(1_000_000, 1_000_000, () => null),
      false,
    );
    let nowMs = 1_000_000;
    while (!channel.tick(nowMs, nowMs, () => null)) nowMs += 100;
    assert.equal(nowMs, 1_001_400);
    assert.equal(done, 1);
    assert.equal(
      channel.tick(nowMs + 100, nowMs, () => null),
      false,
    );
  });

  it('tells a gap again on a new link, with all that was left out meanwhile', () => {
    const { channel, node } = givenUp();
    channel.send(node.w, live('a', 5));
    node.w.reset();
    channel.resend(node.w);
    node.read(channel);
    assert.deepEqual(node.missed, [{ everything: false, topics: ['a'], hlc: 5 }]);
    assert.equal(channel.givenUp, false);
  });

  it('tells what was left out while the gap was told before what it sends then', () => {
    const { channel, node } = givenUp();
    channel.send(node.w, live('a'));
    node.read(channel);
    channel.send(node.w, live('a'));
    node.read(channel);
    assert.deepEqual(
      node.missed.map(({ topics }) => topics),
      [[], ['a']],
    );
    assert.deepEqual(node.topics, ['a']);
    assert.equal(channel.outstanding, 0);
  });

  it('keeps topics up to a bound, in number and in length', () => {
    for (const [count, length] of [
      [GAP_TOPICS_MAX + 1, 1],
      [2, GAP_CHARACTERS_MAX],
    ] as const) {
      const channel = new LiveChannel();
      const node = new Node();
      channel.giveUp(null);
      for (let i = 0; i < count; i++) {
        channel.send(null, live(`${i}`.padStart(length, '-')));
      }
      channel.resend(node.w);
      node.read(channel);
      assert.deepEqual(node.missed, [{ everything: true, topics: [], hlc: 1 }]);
    }
  });

  it('whose node wants nobody knows what says nothing while nothing is published', () => {
    const { channel, node } = givenUp();
    channel.forget(7);
    node.w.reset();
    channel.resend(node.w);
    assert.equal(node.w.length, 0);
    channel.learn(7, 100, node.w);
    node.read(channel);
    assert.deepEqual(node.missed, [{ everything: false, topics: [], hlc: 0 }]);
    assert.equal(channel.givenUp, false);
  });

  it('whose node wants nobody knows what calls whatever was published missed', () => {
    const { channel, node } = givenUp();
    channel.forget(7);
    channel.learn(8, 100, node.w);
    node.read(channel);
    assert.deepEqual(node.missed.at(-1), { everything: true, topics: [], hlc: 100 });
  });

  it('forgets the gap with the process', () => {
    const { channel, node } = givenUp();
    channel.abandon();
    channel.send(node.w, live('b'));
    assert.equal(channel.outstanding, 1);
  });
});
