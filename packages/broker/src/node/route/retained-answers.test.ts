import assert from 'node:assert/strict';
import { TopicIndex } from '../../mqtt/topic-index.ts';
import type { Message } from '../../session/message.ts';
import { writeOperation } from '../../session/operation.ts';
import { entryKey } from '../../shard/keys.ts';
import { encodeEntry } from '../../shard/log.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import type { Page } from '../link/retained-page.ts';
import { Work } from '../work.ts';
import { RetainedAnswers } from './retained-answers.ts';
import type { LeaderHere } from './route-port.ts';

const PAGE_BYTES = 256 * 1024;

/** Retained messages of one shard, all of them in the store alone. */
class Bench {
  readonly topics = new TopicIndex();
  /** How many records each read of the store asked for, and the largest that were here at once. */
  readonly reads: number[] = [];
  /** Whether each read was in the order of the store's keys. */
  ordered = true;
  readonly #indexes = new Map<string, number>();
  readonly #store: MemoryStore;
  readonly #turns: (() => void)[] = [];
  readonly #work = new Work(() => {});
  readonly answers: RetainedAnswers;

  constructor() {
    this.#store = new MemoryStore({ defer: (fn) => void this.#turns.push(fn) });
    const leader = {
      shard: 0,
      replica: { commit: Number.MAX_SAFE_INTEGER, log: { get: () => undefined } },
      state: { retained: { indexOf: (topic: string) => this.#indexes.get(topic) ?? 0 } },
    } as unknown as LeaderHere;
    this.answers = new RetainedAnswers({
      shardCount: () => 1,
      topics: this.topics,
      store: {
        write: (changes, sync, done) => this.#store.write(changes, sync, done),
        scan: () => assert.fail('retained messages are not scanned for'),
        getMany: (keys, done) => {
          this.reads.push(keys.length);
          const texts = keys.map((key) => Buffer.from(key).toString('hex'));
          this.ordered &&= texts.join() === [...texts].sort().join();
          this.#store.getMany(keys, done);
        },
      },
      work: this.#work,
      log: () => assert.fail('nothing is damaged'),
      leader: () => leader,
      ledPrint: () => 1,
      full: () => false,
      confirmed: () => true,
    });
  }

  retain(index: number, topic: string, payloadBytes: number): void {
    const message: Message = {
      topic,
      payload: new Uint8Array(payloadBytes),
      qos: 1,
      retain: true,
      hlc: index,
      expiresAtMs: 0,
      properties: new Uint8Array(0),
      publisher: 'p',
    };
    const view = { counter: 1, leader: 'self', bootEpoch: 1 };
    const { bytes } = encodeEntry(index, view, index, (w) =>
      writeOperation(w, { type: 'retain', rx2: null, message }, null),
    );
    this.#store.write([{ key: entryKey(0, index), value: bytes }], false, () => {});
    this.#indexes.set(topic, index);
    this.topics.add(topic);
  }

  /** All pages of `#`, each read to its end before the next. */
  read(): Page[] {
    const pages: Page[] = [];
    for (let more = true; more; ) {
      const question = { filters: ['#'], shards: null, print: 1, after: '' };
      this.answers.ask('peer', 1, pages.length === 0 ? question : null, PAGE_BYTES, (page) => {
        pages.push(page);
        more = page.status === 'page';
      });
      const count = pages.length;
      for (let turns = 0; pages.length === count || turns === 0; turns++) {
        assert.ok(turns < 10_000, 'no page comes');
        this.#work.run();
        for (const turn of this.#turns.splice(0)) turn();
      }
    }
    return pages;
  }
}

const topicOf = (i: number) => `t/${String(i).padStart(5, '0')}`;

describe('answers to readers of retained messages', () => {
  it('read many small ones at a time, in the order of the store, and give them in that of topics', () => {
    const b = new Bench();
    const count = 5000;
    // Neighbours by topic are far from each other in the store.
    for (let i = 0; i < count; i++) b.retain(1 + ((i * 1237) % count), topicOf(i), 20);
    const pages = b.read();
    const topics = pages.flatMap(({ items }) => items.map(({ topic }) => topic));
    assert.deepEqual(
      topics,
      Array.from({ length: count }, (_, i) => topicOf(i)),
    );
    assert.ok(b.ordered, 'each read goes forward through the store');
    assert.ok(b.reads.length < 40, `${b.reads.length} reads`);
    assert.ok(Math.max(...b.reads) <= 256, 'no read holds up the loop');
    assert.equal(b.answers.open, 0);
  });

  it('look for fewer when messages are larger than those before', () => {
    const b = new Bench();
    for (let i = 0; i < 1000; i++) b.retain(1 + i, topicOf(i), 20);
    for (let i = 1000; i < 2000; i++) b.retain(1 + i, topicOf(i), 50_000);
    const pages = b.read();
    const topics = pages.flatMap(({ items }) => items.map(({ topic }) => topic));
    assert.deepEqual(
      topics,
      Array.from({ length: 2000 }, (_, i) => topicOf(i)),
    );
    const bytes = pages.map(({ items }) =>
      items.reduce((sum, { payload }) => sum + payload.length, 0),
    );
    assert.ok(Math.max(...bytes) <= 3 * PAGE_BYTES, `a page of ${Math.max(...bytes)} bytes`);
  });
});
