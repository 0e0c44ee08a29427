/**
 * Reading retained messages of the whole cluster: what is read for this node's clients and sessions, and
 * the questions and pages between nodes.
 */
import type { Writer } from '../../bytes.ts';
import { LinkMessage } from '../link/link-message.ts';
import type { Page, RetainedQuery, RetainedQuestion } from '../link/retained-page.ts';
import type { Views } from '../link/views.ts';
import type { RetainedAnswers } from './retained-answers.ts';
import { Reading, type ReadingHost } from './retained-reading.ts';

/**
 * Bytes of retained messages that all readings of a node hold for their clients; beyond, the messages of
 * the reading that has waited longest are dropped, and read again when its client takes more.
 */
export const RETAINED_HELD_BYTES_MAX = 64 * 1024 * 1024;

export interface QueryHost {
  readonly self: string;
  shardCount(): number;
  readonly views: Views;
  readonly answers: RetainedAnswers;
  nowMs(): number;
  to(node: string): Writer | null;
}

/** A node that has not answered for so long is asked about, not again. */
const RECHECK_MS = 300;

export class RetainedQueries implements ReadingHost {
  readonly #host: QueryHost;
  #next = 1;
  /** Streams under way, by number. */
  readonly #streams = new Map<number, Reading>();
  #troubled = new Set<Reading>();
  /** Readings that hold messages, the longest waiting first. */
  readonly #holding = new Set<Reading>();
  #heldBytes = 0;
  #recheckedMs = 0;

  constructor(host: QueryHost) {
    this.#host = host;
  }

  get views(): Views {
    return this.#host.views;
  }

  get shardCount(): number {
    return this.#host.shardCount();
  }

  /** Streams under way: one per node that a reading is not done with. */
  get open(): number {
    return this.#streams.size;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  nowMs(): number {
    return this.#host.nowMs();
  }

  /**
   * Reads what matches, ascending by topic, those after `after` only; by {@link Reading.take}.
   *
   * @param onReady there is more to take, or the end is reached
   */
  read(filters: readonly string[], after: string, onReady: () => void): Reading {
    return new Reading(this, filters, after, onReady);
  }

  /** Tries again what was refused. */
  tick(): void {
    this.#host.answers.tick();
    const nowMs = this.nowMs();
    if (nowMs - this.#recheckedMs >= RECHECK_MS) {
      this.#recheckedMs = nowMs;
      for (const reading of new Set(this.#streams.values())) reading.recheck(nowMs - RECHECK_MS);
    }
    if (this.#troubled.size === 0) return;
    const troubled = this.#troubled;
    this.#troubled = new Set();
    for (const reading of troubled) if (!reading.retry()) this.#troubled.add(reading);
  }

  // ---- ReadingHost -----------------------------------------------------------------------------

  register(reading: Reading): number {
    const id = this.#next++;
    this.#streams.set(id, reading);
    return id;
  }

  unregister(id: number): void {
    this.#streams.delete(id);
  }

  troubled(reading: Reading): void {
    this.#troubled.add(reading);
  }

  held(reading: Reading, bytes: number): void {
    this.#heldBytes += bytes;
    this.#holding.delete(reading);
    if (reading.held > 0) this.#holding.add(reading);
    for (const longest of this.#holding) {
      if (this.#heldBytes <= RETAINED_HELD_BYTES_MAX || longest === reading) break;
      longest.drop();
    }
  }

  ask(node: string, id: number, question: RetainedQuestion | null, pageBytes: number): boolean {
    const { self, answers } = this.#host;
    if (node === self) {
      answers.ask(self, id, question, pageBytes, (page) => this.onReply(id, page));
      return true;
    }
    const w = this.#host.to(node);
    if (!w) return false;
    LinkMessage.RetainedQuery.write(w, { id, pageBytes, question });
    return true;
  }

  end(node: string, id: number): void {
    const { self, answers } = this.#host;
    if (node === self) return answers.end(self, id);
    const w = this.#host.to(node);
    if (w) LinkMessage.RetainedEnd.write(w, id);
  }

  // ---- from other nodes ------------------------------------------------------------------------

  onLinkDown(node: string): void {
    this.#host.answers.peerGone(node);
    for (const reading of new Set(this.#streams.values())) reading.onLinkDown(node);
  }

  onQuery(from: string, { id, pageBytes, question }: RetainedQuery): void {
    this.#host.answers.ask(from, id, question, pageBytes, (page) => {
      const w = this.#host.to(from);
      if (w) LinkMessage.RetainedReply.write(w, id, page);
    });
  }

  onEnd(from: string, id: number): void {
    this.#host.answers.end(from, id);
  }

  onReply(id: number, page: Page): void {
    this.#streams.get(id)?.onPage(id, page);
  }
}
