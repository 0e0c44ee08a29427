/**
 * Packets that cost more than their bytes: where a client has used up a turn, it is read on in the next
 * one, behind others that wait so. Heartbeats and other clients come between.
 */
import type { Client } from './parts.ts';

/** Levels of filters looked at for one message, from which on it is reckoned at all. */
const COSTLY_STEPS = 1000;
/** Levels looked at that are one unit of work. */
const STEPS_PER_UNIT = 16;

/** The client's PUBLISH has been matched. @param steps what that has cost */
export function pace(c: Client, steps: number): void {
  if (steps < COSTLY_STEPS || !c.isOpen) return;
  const { work } = c.port;
  work.spend(Math.ceil(steps / STEPS_PER_UNIT));
  if (!work.exhausted) return;
  c.hold();
  c.clients.line.add(() => {
    c.unhold();
    return true;
  });
}
