/**
 * Messages that come to a connection as a member of a group, from the leader of the group's shard.
 *
 * The leader waits for the client's acknowledgement, and gives the message to another member if the connection
 * ends before. Nothing waits here: a connection without room refuses, and all that its sender has under way with
 * it, until the sender has heard that there is room again. So what was refused is not overtaken by what came
 * later.
 *
 * ```
 *   Give of generation g ──▶ room ──────▶ PUBLISH ──▶ PUBACK, PUBCOMP: Done · the connection ends: Gone, Ended
 *                        └─▶ no room ───▶ Busy … room again: Free with generation g + 1
 *   Give of an earlier generation ──────▶ Busy
 * ```
 */
import type { Message, Rx2Id } from '../../session/message.ts';
import { SeenSet } from '../../session/seen.ts';
import { type Give, Outcome } from '../link/given.ts';
import type { LiveSubscription } from '../route/client-port.ts';
import type { Client } from './parts.ts';
import { type Giver, givenKey, SendWindow } from './send-window.ts';
import { hasRoom, sendGiven, sendZero } from './sending.ts';

/** Messages of QoS 2 that connections of this node have been given, and refused, by their BINDs. */
export class GivenHere {
  readonly #taken = new SeenSet();
  readonly #refused = new SeenSet();
  /** Shards' leaders that have given something: the newest term of each. */
  readonly #terms = new Map<number, number>();

  /** @param c the connection that is meant, if there is one */
  give(give: Give, c: Client | undefined, giver: Giver): void {
    const { id, shard, term } = give;
    if (id) {
      // A leader that is deposed and does not know it waits for no answer that its successor needs.
      if (term < (this.#terms.get(shard) ?? 0)) return;
      this.#terms.set(shard, term);
    }
    // Of QoS 1 nothing is remembered once it is acknowledged: it may come again.
    const rx2 = give.qos === 2 ? id : null;
    const open = c?.isOpen ? c : undefined;
    const held = id && open?.out?.given.get(givenKey(id));
    const answer = this.#answering(rx2, giver);
    if (held) {
      // A leader that came later asks again: it hears what the one before waited for.
      held.answer = answer;
      return;
    }
    if (rx2 && this.#taken.has(rx2)) return giver.answer(Outcome.Done);
    const s = open?.subscriptions?.get(give.group);
    if (!open || !s || (rx2 && this.#refused.has(rx2))) {
      if (rx2) this.#refused.add(rx2);
      return giver.answer(Outcome.Gone);
    }
    const qos = Math.min(give.qos, s.qos) as 0 | 1 | 2;
    if (qos === 0 || !id) return zero(open, s, give.message, giver);
    if (!admits(open, give, giver)) return;
    if (rx2) this.#taken.add(rx2);
    sendGiven(open, give.message, qos as 1 | 2, s, { id, answer });
  }

  /**
   * What is bound and went out at QoS 1, since its member subscribes so by now, goes back where it is not
   * acknowledged: to the next leader that asks, too, if the one that gave it does not hear.
   */
  #answering(rx2: Rx2Id | null, giver: Giver): (outcome: Outcome) => void {
    return (outcome) => {
      if (rx2 && outcome === Outcome.Gone) {
        this.#taken.delete(rx2);
        this.#refused.add(rx2);
      }
      giver.answer(outcome);
    };
  }
}

function zero(c: Client, s: LiveSubscription, message: Message, giver: Giver): void {
  const identifiers = s.identifier > 0 ? [s.identifier] : [];
  sendZero(c, message, s.retainAsPublished && message.retain, identifiers, { frames: [] });
  giver.answer(Outcome.Done);
}

/** Whether the connection takes the message; if not, the giver has heard so. */
function admits(c: Client, give: Give, giver: Giver): boolean {
  c.sharing ??= new Map();
  let sharing = c.sharing.get(giver.node);
  if (!sharing) {
    sharing = { generation: 0, busy: false, giver, upTo: 0 };
    c.sharing.set(giver.node, sharing);
  }
  sharing.giver = giver;
  sharing.upTo = Math.max(sharing.upTo, give.token);
  c.out ??= new SendWindow();
  if (!sharing.busy && give.generation === sharing.generation) {
    if (hasRoom(c)) return true;
    sharing.busy = true;
  }
  giver.answer(Outcome.Busy);
  if (!sharing.busy) giver.free(sharing.generation, 1, sharing.upTo);
  return false;
}
