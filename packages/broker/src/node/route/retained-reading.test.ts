import assert from 'node:assert/strict';
import type { Writer } from '../../bytes.ts';
import { shardOf } from '../../placement/hash.ts';
import type { Message } from '../../session/message.ts';
import type { Page, RetainedQuestion } from '../link/retained-page.ts';
import { type ShardView, Views } from '../link/views.ts';
import type { RetainedAnswers } from './retained-answers.ts';
import { RETAINED_HELD_BYTES_MAX, RetainedQueries } from './retained-query.ts';
import type { Reading } from './retained-reading.ts';

const SHARDS = 16;

interface Asked {
  readonly id: number;
  readonly question: RetainedQuestion | null;
  readonly reply: (page: Page) => void;
}

function message(topic: string, bytes = 1): Message {
  const nothing = { payload: new Uint8Array(bytes), properties: new Uint8Array(0) };
  return { topic, ...nothing, qos: 0, retain: true, hlc: 1, expiresAtMs: 0, publisher: '' };
}

/** A node that answers its own questions as the test says. */
class Bench {
  readonly asked: Asked[] = [];
  readonly ended: number[] = [];
  readonly views = new Views();
  nowMs = 0;
  ready = 0;
  readonly queries: RetainedQueries;
  #counter = 1;

  constructor() {
    this.views.resize(SHARDS);
    for (let shard = 0; shard < SHARDS; shard++) this.leads('self', shard);
    const answers = {
      ask: (
        _: string,
        id: number,
        question: RetainedQuestion | null,
        __: number,
        reply: Asked['reply'],
      ) => this.asked.push({ id, question, reply }),
      end: (_: string, id: number) => this.ended.push(id),
      peerGone: () => {},
      tick: () => {},
    };
    this.queries = new RetainedQueries({
      self: 'self',
      views: this.views,
      answers: answers as unknown as RetainedAnswers,
      shardCount: () => SHARDS,
      nowMs: () => this.nowMs,
      to: (): Writer | null => null,
    });
  }

  leads(node: string, shard: number): void {
    const number = { counter: this.#counter++, leader: `${node}#1`, bootEpoch: 1 };
    const view = { shard, number, since: 1, routeVersion: '0', active: [], voters: [] };
    this.views.update({ ...view, oldVoters: [] } as unknown as ShardView);
  }

  read(...filters: string[]): Reading {
    return this.queries.read(filters, '', () => this.ready++);
  }

  answer(status: Page['status'], ...topics: string[]): void {
    this.asked.shift()!.reply({ status, items: topics.map((t) => message(t)) });
  }

  tick(ms: number): void {
    this.nowMs += ms;
    this.queries.tick();
  }
}

function takeAll(reading: Reading): string[] {
  const topics: string[] = [];
  for (let m = reading.take(); m; m = reading.take()) topics.push(m.topic);
  return topics;
}

describe('reading retained messages', () => {
  it('asks once, then for page after page, and not again while an answer is due', () => {
    const b = new Bench();
    const reading = b.read('t/#');
    assert.equal(reading.take(), null);
    assert.equal(reading.take(), null);
    b.tick(10_000);
    assert.equal(b.asked.length, 1);
    assert.deepEqual(b.asked[0]!.question?.filters, ['t/#']);
    b.answer('page', 't/1', 't/2');
    assert.equal(b.ready, 1);
    assert.deepEqual(takeAll(reading), ['t/1', 't/2']);
    assert.deepEqual(
      b.asked.map((a) => a.question),
      [null],
    );
    b.answer('complete', 't/3');
    assert.deepEqual(takeAll(reading), ['t/3']);
    assert.ok(reading.finished);
    assert.deepEqual([b.queries.open, b.queries.heldBytes, b.ended], [0, 0, []]);
  });

  it('asks the leaders of exact filters alone', () => {
    const b = new Bench();
    const other = shardOf('b', SHARDS);
    assert.notEqual(shardOf('a', SHARDS), other);
    b.leads('other', other);
    b.read('a').take();
    assert.deepEqual(
      b.asked.map((a) => a.question?.shards),
      [[shardOf('a', SHARDS)]],
    );
    b.asked.length = 0;
    b.read('b').take();
    assert.deepEqual(b.asked, []);
  });

  it('goes on behind the last topic when a shard has moved, the answer is forgotten or refused', () => {
    const b = new Bench();
    const reading = b.read('#');
    reading.take();
    b.answer('page', 'a', 'b');
    assert.deepEqual(takeAll(reading), ['a', 'b']);
    b.answer('unknown');
    assert.equal(b.asked[0]!.question?.after, 'b');
    b.answer('busy');
    b.tick(20);
    assert.equal(b.asked.length, 0);
    b.tick(300);
    reading.take();
    b.answer('moved');
    // As long as nobody else is known to lead, the same is asked again; then the shards one by one.
    b.tick(20);
    reading.take();
    assert.equal(b.asked[0]!.question?.shards, null);
    b.leads('other', 3);
    b.answer('moved');
    b.tick(20);
    reading.take();
    const [question] = b.asked.map((a) => a.question);
    assert.deepEqual(question?.shards, [0, 1, 2, ...Array.from({ length: 12 }, (_, i) => i + 4)]);
    assert.equal(question?.after, 'b');
    b.answer('complete', 'c');
    // What shard 3 holds may come before it.
    assert.deepEqual(takeAll(reading), []);
    b.leads('self', 3);
    b.tick(20);
    reading.take();
    assert.deepEqual(
      b.asked.map((a) => a.question?.shards),
      [[3]],
    );
    b.answer('complete', 'bb');
    assert.deepEqual(takeAll(reading), ['bb', 'c']);
    assert.ok(reading.finished);
  });

  it('does not wait for a node that hangs and leads no more', () => {
    const b = new Bench();
    const reading = b.read('#');
    reading.take();
    b.tick(1000);
    assert.equal(b.asked.length, 1);
    for (let shard = 0; shard < SHARDS; shard++) b.leads('other', shard);
    b.tick(400);
    assert.deepEqual(b.ended, [b.asked[0]!.id]);
    b.answer('complete', 'late');
    assert.deepEqual(takeAll(reading), []);
    for (let shard = 0; shard < SHARDS; shard++) b.leads('self', shard);
    b.tick(20);
    b.tick(20);
    reading.take();
    b.answer('complete', 'a');
    assert.deepEqual(takeAll(reading), ['a']);
  });

  it('ends where it stands', () => {
    const b = new Bench();
    const reading = b.read('#');
    reading.take();
    b.answer('page', 'a', 'b');
    reading.end();
    assert.equal(reading.take(), null);
    assert.ok(reading.finished);
    assert.deepEqual([b.queries.open, b.queries.heldBytes, b.ended.length], [0, 0, 1]);
  });

  it('gives back what it holds when all together hold too much, and reads it again', () => {
    const b = new Bench();
    const half = RETAINED_HELD_BYTES_MAX / 2;
    const first = b.read('a/#');
    first.take();
    b.asked
      .shift()!
      .reply({ status: 'complete', items: [message('a/1', half), message('a/2', 9)] });
    const second = b.read('b/#');
    second.take();
    b.asked
      .shift()!
      .reply({ status: 'complete', items: [message('b/1', half), message('b/2', 9)] });
    assert.ok(b.queries.heldBytes <= RETAINED_HELD_BYTES_MAX);
    assert.deepEqual(takeAll(second), ['b/1', 'b/2']);
    assert.equal(first.take(), null);
    assert.deepEqual(
      b.asked.map((a) => [a.question?.filters, a.question?.after]),
      [[['a/#'], '']],
    );
    b.answer('complete', 'a/1', 'a/2');
    assert.deepEqual(takeAll(first), ['a/1', 'a/2']);
  });
});
