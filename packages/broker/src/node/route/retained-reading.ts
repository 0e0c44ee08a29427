/**
 * Reading the retained messages of the whole cluster that some filters match, in ascending order of
 * their topics, at the pace of the one who takes them.
 *
 * ```
 *   n1 ──page──▶ │c│f│k│   ┐
 *   n2 ──page──▶ │d│e│     ├─ the least topic of all ──▶ take()       cursor: everything up to it is read
 *   self ─page─▶ │g│       ┘
 * ```
 * Each node that leads shards is asked once, and for the next page when its last one is used up. What
 * was read is said by one topic, the cursor. When leaders, links or memory change, the reading goes on
 * from there, with other nodes if need be.
 */
import { shardOf } from '../../placement/hash.ts';
import type { Message } from '../../session/message.ts';
import type { Page, RetainedQuestion } from '../link/retained-page.ts';
import type { Views } from '../link/views.ts';

/** Bytes of the pages that one reading asks all nodes for at a time, and one message more from each. */
export const RETAINED_READ_BYTES_MAX = 256 * 1024;
const PAGE_BYTES_MIN = 16 * 1024;
/** Between two attempts while a node refuses or a shard has no leader. */
const RETRY_MS = 20;
const BUSY_RETRY_MS = 300;
/** What a message costs beside its payload. */
const MESSAGE_BYTES = 200;

export interface ReadingHost {
  readonly views: Views;
  readonly shardCount: number;
  nowMs(): number;
  /** @returns false if the node cannot be reached now */
  ask(node: string, id: number, question: RetainedQuestion | null, pageBytes: number): boolean;
  end(node: string, id: number): void;
  /** A number that no other stream has. */
  register(reading: Reading): number;
  unregister(id: number): void;
  /** Something is to be tried again in a while. */
  troubled(reading: Reading): void;
  /** What the reading holds has changed by this much. */
  held(reading: Reading, bytes: number): void;
}

/** What one node is asked for. */
interface Stream {
  readonly id: number;
  /** '' while the shards have no leader. */
  readonly node: string;
  /** null: all that the node leads. */
  readonly shards: readonly number[] | null;
  readonly print: number;
  /** Topics up to this one are read, or in the buffer. */
  after: string;
  buffer: readonly Message[];
  /** Place in the buffer of the next one to take. */
  at: number;
  complete: boolean;
  /** An answer is under way. */
  asked: boolean;
  askedMs: number;
  /** The node holds the question: asked for more it goes on. */
  known: boolean;
}

const NONE: readonly Message[] = [];

function costOf(m: Message): number {
  return m.payload.length + m.topic.length + MESSAGE_BYTES;
}

export class Reading {
  readonly #host: ReadingHost;
  readonly #wild: string[] = [];
  readonly #exact: { readonly filter: string; readonly shard: number }[] = [];
  readonly #onReady: () => void;
  #streams: Stream[] = [];
  #taking = false;
  #ended = false;
  #retryAtMs = 0;
  #held = 0;
  /** Every topic up to this one is taken. */
  cursor: string;

  /** @param onReady there is more to take, or the end is reached; after `take` had returned null */
  constructor(host: ReadingHost, filters: readonly string[], after: string, onReady: () => void) {
    this.#host = host;
    this.cursor = after;
    this.#onReady = onReady;
    for (const filter of filters)
      if (/[+#]/.test(filter)) this.#wild.push(filter);
      else this.#exact.push({ filter, shard: shardOf(filter, host.shardCount) });
    this.#begin(false);
  }

  /** Nothing is left to take. */
  get finished(): boolean {
    return this.#ended || this.#streams.every((s) => s.complete && s.at === s.buffer.length);
  }

  /** The next message, or null: none is here yet, or none is left ({@link finished}). */
  take(): Message | null {
    if (this.#ended) return null;
    this.#taking = true;
    for (const s of [...this.#streams])
      if (s.at === s.buffer.length && !s.complete && !s.asked) this.#ask(s);
    this.#taking = false;
    let best: Stream | null = null;
    for (const s of this.#streams) {
      if (s.at < s.buffer.length) {
        if (!best || s.buffer[s.at]!.topic < best.buffer[best.at]!.topic) best = s;
      } else if (!s.complete) return null;
    }
    if (!best) {
      this.end();
      return null;
    }
    const message = best.buffer[best.at++]!;
    this.cursor = message.topic;
    this.#hold(-costOf(message));
    if (best.at === best.buffer.length) {
      best.buffer = NONE;
      best.at = 0;
    }
    return message;
  }

  /** No more is wanted. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#clear();
  }

  /** Gives back memory: what is buffered is read again when it is wanted. */
  drop(): void {
    if (!this.#ended) this.#begin(this.#streams.some((s) => s.shards !== null));
  }

  // ---- asking ----------------------------------------------------------------------------------

  /** From the cursor on. @param listed by lists of shards, as is certain while leaders change */
  #begin(listed: boolean): void {
    this.#clear();
    const { views } = this.#host;
    if (this.#wild.length === 0) {
      this.#assign([...new Set(this.#exact.map((e) => e.shard))], this.cursor);
    } else if (listed || !views.complete) {
      this.#assign(
        Array.from({ length: this.#host.shardCount }, (_, shard) => shard),
        this.cursor,
      );
    } else {
      for (const node of views.leaders)
        this.#stream(node, null, views.printLedBy(node), this.cursor);
    }
  }

  /** Streams for these shards, by their leaders. */
  #assign(shards: readonly number[], after: string): void {
    const byNode = new Map<string, number[]>();
    for (const shard of shards) {
      const node = this.#host.views.leader(shard);
      const list = byNode.get(node);
      if (list) list.push(shard);
      else byNode.set(node, [shard]);
    }
    for (const [node, list] of byNode) this.#stream(node, list, 0, after);
  }

  #stream(node: string, shards: readonly number[] | null, print: number, after: string): void {
    const id = this.#host.register(this);
    const open = { complete: false, asked: false, askedMs: 0, known: false };
    this.#streams.push({ id, node, shards, print, after, buffer: NONE, at: 0, ...open });
  }

  #ask(s: Stream): void {
    const { views } = this.#host;
    const question = s.known
      ? null
      : {
          filters: this.#filtersFor(s, views),
          shards: s.shards,
          print: s.print,
          after: s.after,
        };
    const pageBytes = Math.max(
      PAGE_BYTES_MIN,
      Math.floor(RETAINED_READ_BYTES_MAX / this.#streams.length),
    );
    s.asked = true;
    s.askedMs = this.#host.nowMs();
    // This node itself may answer within the call.
    s.known = true;
    if (s.node !== '' && this.#host.ask(s.node, s.id, question, pageBytes)) return;
    s.asked = false;
    s.known = false;
    this.#host.troubled(this);
  }

  /** Filters with wildcards, and those without whose topic's shard is among the stream's. */
  #filtersFor(s: Stream, views: Views): string[] {
    if (this.#exact.length === 0) return this.#wild;
    const shards = s.shards && new Set(s.shards);
    const here = (shard: number) => (shards ? shards.has(shard) : views.leader(shard) === s.node);
    const exact = this.#exact.filter((e) => here(e.shard)).map((e) => e.filter);
    return [...this.#wild, ...exact];
  }

  onPage(id: number, page: Page): void {
    const s = this.#streams.find((each) => each.id === id);
    if (!s?.asked) return;
    s.asked = false;
    switch (page.status) {
      case 'page':
      case 'complete': {
        s.buffer = page.items;
        s.at = 0;
        s.complete = page.status === 'complete';
        const last = page.items[page.items.length - 1];
        if (last) s.after = last.topic;
        let bytes = 0;
        for (const m of page.items) bytes += costOf(m);
        this.#hold(bytes);
        break;
      }
      case 'unknown':
        s.known = false;
        if (s.node === '') break;
        this.#ask(s);
        return;
      case 'busy':
        s.known = false;
        this.#retryAtMs = this.#host.nowMs() + BUSY_RETRY_MS;
        this.#host.troubled(this);
        return;
      case 'moved':
        s.known = false;
        this.#retryAtMs = this.#host.nowMs() + RETRY_MS;
        this.#host.troubled(this);
        return;
    }
    if (!this.#taking) this.#onReady();
  }

  /** The node's link is gone, and with it its answer. */
  onLinkDown(node: string): void {
    for (const s of this.#streams) {
      if (s.node !== node || s.complete) continue;
      s.known = false;
      if (!s.asked) continue;
      s.asked = false;
      this.#host.troubled(this);
    }
  }

  /** A node that has not answered for a while may hang: what it leads no more is asked elsewhere. */
  recheck(sinceMs: number): void {
    for (const s of this.#streams) {
      if (!s.asked || s.askedMs > sinceMs || this.#leads(s)) continue;
      this.#host.end(s.node, s.id);
      s.asked = false;
      s.known = false;
      this.#host.troubled(this);
    }
  }

  #leads({ node, shards, print }: Stream): boolean {
    const { views } = this.#host;
    if (node === '') return false;
    if (shards === null) return views.printLedBy(node) === print;
    return shards.every((shard) => views.leader(shard) === node);
  }

  /** Tries again what was refused or found no leader. @returns false if it is too early */
  retry(): boolean {
    if (this.#ended) return true;
    if (this.#host.nowMs() < this.#retryAtMs) return false;
    for (const s of [...this.#streams]) {
      if (s.complete || s.asked || s.known || s.at < s.buffer.length) continue;
      if (this.#leads(s)) continue;
      if (s.shards === null) {
        // Other leaders than when this began: from now on each shard is followed.
        this.#begin(true);
        break;
      }
      this.#streams.splice(this.#streams.indexOf(s), 1);
      this.#host.unregister(s.id);
      this.#assign(s.shards, s.after);
    }
    this.#onReady();
    return true;
  }

  // ---- memory ----------------------------------------------------------------------------------

  /** Bytes of messages that are here and not taken. */
  get held(): number {
    return this.#held;
  }

  #hold(bytes: number): void {
    this.#held += bytes;
    this.#host.held(this, bytes);
  }

  #clear(): void {
    for (const s of this.#streams) {
      if (s.known && !s.complete) this.#host.end(s.node, s.id);
      this.#host.unregister(s.id);
    }
    this.#streams = [];
    if (this.#held > 0) this.#hold(-this.#held);
  }
}
