/**
 * Messages whose Message Expiry Interval is over [MQTT-3.3.2-5]: they leave a queue that is full before
 * one is refused for their sake, and are retained no longer.
 *
 * Elsewhere they leave when their turn comes: delivering.ts and sending.ts do not send them.
 */

import type { Message } from '../../session/message.ts';
import type { AckItem } from '../../session/recipient.ts';
import type { Session } from '../../session/session.ts';
import type { Lead } from './parts.ts';

/** A full queue is looked through at most this often. */
const LOOK_MS = 1000;
/** Pause between two looks for retained messages that have expired. */
const SWEEP_MS = 10_000;
/** Messages that one operation takes out of a queue, and retained ones that one look takes away. */
const ITEMS_MAX = 1000;
const NO_BYTES = new Uint8Array(0);
const NOTHING = {
  payload: NO_BYTES,
  qos: 0,
  retain: true,
  properties: NO_BYTES,
  publisher: '',
} as const;

export class Expiring {
  readonly #leader: Lead;
  /** When a session's queue was looked through last. */
  readonly #lookedMs = new WeakMap<Session, number>();
  #purgedMs = Number.NEGATIVE_INFINITY;
  #sweptMs = 0;

  constructor(leader: Lead) {
    this.#leader = leader;
  }

  /** Takes out of a queue what has expired and was never sent. Only while the replica takes operations. */
  purge(s: Session): void {
    const { node, state } = this.#leader;
    if (state.expiries.size === 0) return;
    const nowMs = node.env.nowMs();
    if (nowMs - (this.#lookedMs.get(s) ?? Number.NEGATIVE_INFINITY) < LOOK_MS) return;
    this.#lookedMs.set(s, nowMs);
    const wallMs = node.env.wallMs();
    const { clientId, epoch } = s;
    // What may have been sent is the client's to settle.
    const neverSent = s.connected
      ? Math.max(s.dupBelow, this.#leader.delivering.sentBelow(s))
      : Math.max(s.dupBelow, s.mark);
    let items: AckItem[] = [];
    for (let position = Math.max(s.front, neverSent); position < s.tail; position++) {
      const expiresAtMs = state.expiries.get(s.refAt(position));
      if (expiresAtMs === undefined || expiresAtMs > wallMs) continue;
      items.push({ clientId, epoch, kind: 'puback', position });
      if (items.length < ITEMS_MAX) continue;
      this.#settle(items);
      items = [];
    }
    this.#settle(items);
  }

  /** Retained messages that have expired are looked for now and then, to count no longer. */
  tick(nowMs: number): void {
    if (nowMs - this.#sweptMs < SWEEP_MS || !this.#leader.replica.canPropose) return;
    this.#sweptMs = nowMs;
    this.#sweep();
  }

  /** The shard retains as many messages as it may. Only while the replica takes operations. */
  purgeRetained(): void {
    const nowMs = this.#leader.node.env.nowMs();
    if (nowMs - this.#purgedMs < LOOK_MS) return;
    this.#purgedMs = nowMs;
    this.#sweep();
  }

  #sweep(): void {
    const { node, state } = this.#leader;
    const wallMs = node.env.wallMs();
    const gone: (readonly [string, number])[] = [];
    for (const expired of state.retained.expired(wallMs)) {
      gone.push(expired);
      if (gone.length >= ITEMS_MAX) break;
    }
    for (const [topic, hlc] of gone) {
      const message: Message = { ...NOTHING, topic, hlc, expiresAtMs: wallMs };
      this.#leader.append({ type: 'retain', rx2: null, message }, null, () => {});
    }
  }

  #settle(items: AckItem[]): void {
    if (items.length > 0) this.#leader.append({ type: 'ack', items }, null, () => {});
  }
}
