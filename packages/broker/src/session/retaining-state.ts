/**
 * What a session's SUBSCRIBEs still want of retained messages: the filters that are being read, how far,
 * and those of later SUBSCRIBEs, whose turn comes then.
 */
import type { Session } from './session.ts';

/** @param index of the entry that begins the reading, and names it */
function begin(s: Session, filters: readonly string[], index: number): void {
  s.retaining = filters.length > 0 ? index : 0;
  s.retainingFilters = filters;
  s.retainingAfter = '';
  s.retainingNext = null;
}

/** A SUB at `index` wants the retained messages of these filters. */
export function wantRetained(s: Session, filters: readonly string[], index: number): void {
  if (filters.length === 0) return;
  // What is being read for an earlier SUBSCRIBE goes on.
  if (s.retaining === 0) return begin(s, filters, index);
  // Grows in place: a client may send thousands of SUBSCRIBEs behind one that is being read.
  s.retainingNext ??= new Set();
  for (const filter of filters) s.retainingNext.add(filter);
}

/** The reading under way is finished by the entry at `index`. */
export function retainedRead(s: Session, index: number): void {
  begin(s, [...(s.retainingNext ?? [])], index);
}

/** The next connection goes on reading what is queued for the session; QoS 0 ended with the last one. */
export function resumeRetained(s: Session): void {
  if (s.retaining === 0) return;
  const queued = (filter: string) => (s.subscriptions?.get(filter)?.qos ?? 0) > 0;
  s.retainingFilters = s.retainingFilters.filter(queued);
  const next = [...(s.retainingNext ?? [])].filter(queued);
  s.retainingNext = next.length > 0 ? new Set(next) : null;
  if (s.retainingFilters.length === 0) begin(s, next, s.epoch);
}
