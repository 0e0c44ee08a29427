/**
 * Messages whose Message Expiry Interval is over before they were ever sent: they leave a queue that
 * is full, so that none is refused for their sake [MQTT-3.3.2-5].
 *
 * Elsewhere they leave when their turn comes: delivering.ts and sending.ts do not send them.
 */
import type { AckItem } from '../session/operation.ts';
import type { Session } from '../session/session.ts';
import type { ShardLeader } from './leader.ts';

/** A full queue is looked through at most this often. */
const LOOK_MS = 1000;
/** Messages that one operation takes out. */
const ITEMS_MAX = 1000;

export class Expiring {
  readonly #leader: ShardLeader;
  /** When a session's queue was looked through last. */
  #lookedMs = new WeakMap<Session, number>();

  constructor(leader: ShardLeader) {
    this.#leader = leader;
  }

  /** Takes out of a queue what has expired and was never sent. Only while the replica takes operations. */
  purge(s: Session): void {
    const { node, state } = this.#leader;
    if (state.expiries.size === 0) return;
    const nowMs = node.nowMs();
    if (nowMs - (this.#lookedMs.get(s) ?? Number.NEGATIVE_INFINITY) < LOOK_MS) return;
    this.#lookedMs.set(s, nowMs);
    const wallMs = node.wallMs();
    const { clientId, epoch } = s;
    // What may have been sent is the client's to settle.
    const neverSent = s.connected ? Math.max(s.dupBelow, s.next) : Math.max(s.dupBelow, s.mark);
    let items: AckItem[] = [];
    for (let position = Math.max(s.front, neverSent); position < s.tail; position++) {
      const expiresAtMs = state.expiries.get(s.refAt(position));
      if (expiresAtMs === undefined || expiresAtMs > wallMs) continue;
      items.push({ clientId, epoch, kind: 'ack', position });
      if (items.length < ITEMS_MAX) continue;
      this.#settle(items);
      items = [];
    }
    this.#settle(items);
  }

  #settle(items: AckItem[]): void {
    if (items.length > 0) this.#leader.append({ type: 'ack', items }, null, () => {});
  }
}
