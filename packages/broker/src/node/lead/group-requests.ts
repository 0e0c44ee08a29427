/** Requests of groups at the leader of a shard: of the group's own, and of a stored member's. */
import { messageBytes } from '../../session/message.ts';
import { groupBytes } from '../../session/operation/group.ts';
import type { Origin } from '../../session/operation.ts';
import type { Recipient } from '../../session/recipient.ts';
import { type GiveRequest, type GroupRequest, OK, reply, Status } from '../link/request.ts';
import { wantOf } from '../route/want.ts';
import type { Lead, Respond } from './parts.ts';

/** A message for one member of each of the groups. */
export function toGroups(leader: Lead, origin: Origin, q: GroupRequest, respond: Respond): void {
  const { state, node, grouping } = leader;
  if (q.rx2 && state.groupSeen.has(q.rx2)) return leader.afterCommit(() => respond(OK));
  // A peer that names one twice is not asked to be right.
  const keys = [...new Set(q.groups)];
  const groups = grouping.withRoom(keys, groupBytes(q.message, keys));
  // What goes back to its group is not refused: it waits where it is, and comes again.
  const goesBack = q.rx2 !== null && q.rx2.shard >= 2 * node.shardCount;
  if (!goesBack) node.counters.sharedRefused += keys.length - groups.length;
  if (groups.length === 0) return respond(reply(Status.QuotaExceeded));
  node.env.trace?.('group');
  const { rx2, message } = q;
  leader.append({ type: 'group', rx2, groups, ingress: origin.node, message }, origin, () =>
    grouping.whenRoom(groups, () => respond(OK)),
  );
}

/**
 * A message of effective QoS 2 for a stored session of this shard, as a member of a group. What is refused is
 * logged: so no later leader of the group's shard is told otherwise, and the message may go to another member.
 */
export function give(leader: Lead, origin: Origin, q: GiveRequest, respond: Respond): void {
  const { state, node } = leader;
  const { rx2, message, clientId, group } = q;
  if (state.enqSeen.has(rx2)) return leader.afterCommit(() => respond(OK));
  const refused = (status: Status) => () => respond(reply(status));
  if (state.refusedSeen.has(rx2)) return leader.afterCommit(refused(Status.NoSession));
  const s = state.sessions.get(clientId);
  const sub = s?.subscriptions?.get(group);
  const full = s && !leader.takes(s, messageBytes(message));
  if (!s || !sub || sub.qos === 0 || full) {
    const status = full ? Status.QuotaExceeded : Status.NoSession;
    leader.append({ type: 'refuse', rx2 }, origin, refused(status));
    return;
  }
  const { qos, retain, identifiers } = wantOf(sub, message);
  const { birth } = s;
  const recipient: Recipient = { clientId, birth, qos: qos as 1 | 2, retain, identifiers };
  node.env.trace?.('enq');
  leader.retaining.sawLive(s, message);
  const enq = {
    type: 'enq',
    rx2,
    message,
    recipients: [recipient],
    retained: false,
    group,
  } as const;
  leader.append(enq, origin, () =>
    leader.giveAnswers.whenRoom(s, group, q.window, () => respond(OK)),
  );
}
