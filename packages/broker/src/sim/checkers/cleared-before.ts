import type { Delivery } from '../history.ts';
import { filterMatches, isShared } from '../topics.ts';
import { Checker } from './checker.ts';

/**
 * Invariant 6: nothing stamped before `clearedBefore` is ever sent.
 *
 * Seen from outside: a session gets nothing whose exchange was over before the CONNECT that began
 * the session left (what a Clean Start discarded stays discarded), and nothing first published after
 * the UNSUBACK of its last matching subscription [MQTT-3.10.4-2]. Retained copies are exempt: a
 * SUBSCRIBE asks for them anew.
 */
export class ClearedBefore extends Checker {
  readonly invariant = '6 cleared stays cleared';

  override onDelivered(delivery: Delivery, first: boolean): void {
    const { message, session } = delivery;
    if (message === undefined || delivery.retain || !first) return;
    // A member of a group may get what waited for the group; shared.ts judges that.
    if (session.subscriptions.some(isShared)) return;
    const where = `${session.client}/${session.generation} got #${message.id} ${message.topic}`;
    if (message.ackedAtMs !== undefined && message.ackedAtMs < session.sentAtMs) {
      this.fail(
        `${where}, acknowledged at ${message.ackedAtMs.toFixed(1)}, before the session began at ` +
          `${session.sentAtMs.toFixed(1)}`,
      );
      return;
    }
    const matching = session.subscriptions.filter((s) => filterMatches(s.filter, message.topic));
    if (matching.length === 0) {
      this.fail(`${where}, which no subscription of the session ever matched`);
    } else if (
      matching.every((s) => (s.endAckedAtMs ?? Number.POSITIVE_INFINITY) < message.sentAtMs)
    ) {
      this.fail(`${where}, first published after the UNSUBACK [MQTT-3.10.4-2]`);
    } else if (
      matching.every((s) => s.sentAtMs > (message.ackedAtMs ?? Number.POSITIVE_INFINITY))
    ) {
      this.fail(`${where}, acknowledged before any matching SUBSCRIBE left`);
    }
  }
}
