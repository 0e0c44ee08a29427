/** What the leaders of groups know of a connection's window; see sharing.ts. */
import { Outcome } from '../link/given.ts';
import type { Client } from './parts.ts';
import { type Given, givenKey } from './send-window.ts';

/** The client has room again. */
export function wakeShared(c: Client): void {
  for (const sharing of c.sharing?.values() ?? []) {
    if (!sharing.busy) continue;
    sharing.busy = false;
    sharing.generation++;
    sharing.giver.free(sharing.generation);
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
