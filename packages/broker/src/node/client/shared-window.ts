/** What the leaders of groups know of a connection's window; see sharing.ts. */
import { Outcome } from '../link/given.ts';
import type { Client } from './parts.ts';
import { type Given, givenKey } from './send-window.ts';

/**
 * The client may have room again: those that were refused hear of it once half of the window is free, and
 * each gets an equal part. With less, messages and refusals would go to and fro.
 *
 * @param least room of which they hear
 */
export function wakeShared(c: Client, least = Math.floor(c.window / 2)): void {
  const left = c.window - c.out!.inFlight.size;
  if (left < Math.max(1, least)) return;
  const waiting = [...(c.sharing?.values() ?? [])].filter(({ busy }) => busy);
  for (const sharing of waiting) {
    sharing.busy = false;
    sharing.generation++;
    const room = Math.max(1, Math.floor(left / waiting.length));
    sharing.giver.free(sharing.generation, room, sharing.upTo);
  }
}

/** The connection is over: what it has not acknowledged goes back, what was sent at QoS 2 ends with it. */
export function endShared(c: Client): void {
  for (const { given, qos } of c.out?.inFlight.values() ?? [])
    given?.answer(qos === 2 ? Outcome.Ended : Outcome.Gone);
}

/** What the client's acknowledgement means for the group. */
export function answerGiven(c: Client, given: Given, reasonCode: number): void {
  c.out!.given.delete(givenKey(given.id));
  given.answer(reasonCode >= 0x80 ? Outcome.Discarded : Outcome.Done);
}
