import type { Membership } from './membership.ts';
import type { Parts } from './parts.ts';
import type { Prober } from './probe.ts';
import type { Sync } from './sync.ts';

/** What a core holds now, by kind: each within a bound, whatever peers send. */
export function sizesOf(
  { context, timers, notices }: Parts,
  membership: Membership,
  prober: Prober,
  sync: Sync,
): Readonly<Record<string, number>> {
  const { members, queue, events, cut } = context;
  return {
    members: members.size,
    suspicions: members.suspected().size,
    claims: membership.claimCount,
    pauses: membership.pauseCount,
    updates: queue.size,
    events: events.size,
    eventsKept: events.keptCount,
    eventOrigins: events.originCount,
    viewEntries: cut.entryCount,
    probes: prober.probeCount,
    helps: prober.helpCount,
    streams: sync.streamCount,
    timers: timers.size,
    notices: notices.size,
  };
}
