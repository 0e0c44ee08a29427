import type { Context } from './context.ts';
import type { Membership } from './membership.ts';
import type { Prober } from './probe.ts';
import type { Sync } from './sync.ts';

/** What a core holds now, by kind: each within a bound, whatever peers send. */
export function sizesOf(
  { members, queue, events, cut, timerCount, noticeCount }: Context,
  membership: Membership,
  prober: Prober,
  sync: Sync,
): Readonly<Record<string, number>> {
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
    timers: timerCount,
    notices: noticeCount,
  };
}
