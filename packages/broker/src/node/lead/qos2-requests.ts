/** A client publishes at QoS 2: PUBLISH and PUBREL at the leader of its session's shard. */
import type { Operation, Origin } from '../../session/operation.ts';
import { OK, reply, Status } from '../link/request.ts';
import type { Lead, Respond } from './parts.ts';

export function receive(
  leader: Lead,
  origin: Origin,
  q: Operation & { type: 'rx2' },
  respond: Respond,
): void {
  const s = leader.live(q.clientId, q.epoch);
  if (!s) return respond(reply(Status.NoSession));
  // The same Packet Identifier before PUBREL is the same message, with DUP or without.
  const open = s.rx2?.get(q.packetId);
  if (open !== undefined)
    return leader.owing.whenDone(open, (refused) =>
      respond(refused ? reply(Status.QuotaExceeded) : OK),
    );
  leader.node.env.trace?.('rx2');
  const index = leader.append(q, origin, () => {
    leader.owing.whenDone(index, (refused) => respond(refused ? reply(Status.QuotaExceeded) : OK));
    leader.owing.committed();
  });
}

/** PUBREL. An exchange that is not known may have been completed before, or never begun. */
export function pubrel(
  leader: Lead,
  origin: Origin,
  q: Operation & { type: 'rx2done' },
  respond: Respond,
): void {
  const s = leader.live(q.clientId, q.epoch);
  if (!s) return respond(reply(Status.NoSession));
  if (s.rx2?.has(q.packetId)) {
    leader.append(q, origin, () => respond(OK));
    return;
  }
  // A leader that is deposed and does not know yet must not deny what others hold.
  leader.underLease(reply(Status.NotFound), respond);
}
