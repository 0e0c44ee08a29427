/** What the parts of a shard's leader see of it and of each other: types only. */
import type { Message } from '../../session/message.ts';
import type { Logged, Operation, Origin } from '../../session/operation.ts';
import type { Session } from '../../session/session.ts';
import type { ShardState } from '../../session/shard-state.ts';
import type { Replica } from '../../shard/replica.ts';
import type { Reply } from '../link/request.ts';
import type { LeadPort } from './lead-port.ts';

export type Respond = (reply: Reply) => void;

export interface Lead {
  readonly shard: number;
  readonly replica: Replica;
  readonly state: ShardState;
  readonly node: LeadPort;
  /** Counts the times this node began to serve the shard. */
  readonly since: number;
  readonly serving: boolean;
  readonly delivering: LeadDelivering;
  readonly retaining: { connected(s: Session): void; sawLive(s: Session, message: Message): void };
  readonly grouping: LeadGrouping;
  readonly giveAnswers: {
    whenRoom(s: Session, group: string, window: number, run: () => void): void;
  };
  readonly deadlines: { expireIfDue(s: Session): boolean };
  readonly owing: {
    whenDone(index: number, run: (refused: boolean) => void): void;
    /** Sends what is committed. */
    committed(): void;
  };
  /** Logs an operation and runs `committed` once it is. Only while the replica takes operations. */
  append(operation: Operation, origin: Origin | null, committed: () => void): number;
  /** Logs something of the leader's own, now or when the view change under way is over. */
  appendOwn(operation: () => Operation | null, committed?: () => void): void;
  /** Runs `run` when everything logged so far is committed. */
  afterCommit(run: () => void): void;
  /** The session if the connection that has this epoch still owns it. */
  live(clientId: string, epoch: number): Session | null;
  /** The session's queue, and the node's, have room for so many bytes more. */
  takes(s: Session, bytes: number): boolean;
  /** An operation logged a moment ago, so that delivering it need not decode it. */
  recent(index: number): Logged | undefined;
  /** Answers what no entry of the log vouches for. */
  underLease(answer: Reply, respond: Respond): void;
  /** All queues that matched are full: PUBREC says so, which ends the exchange [MQTT-4.3.3-9]. */
  onRefused(index: number, clientId: string, packetId: number): void;
}

export interface LeadGrouping {
  /** Which of the groups have room for so many bytes more. */
  withRoom(groups: readonly string[], bytes: number): readonly string[];
  /** Runs `run` when little enough waits for members that are online. */
  whenRoom(groups: readonly string[], run: () => void): void;
}

export interface LeadDelivering {
  /** First position never sent on the present connection, −1 when it is not known here. */
  sentUpto(s: Session): number;
  /** Positions below may have been sent on the present connection. */
  sentBelow(s: Session): number;
  /** Sends the session's connection everything unsettled, from the front. */
  attach(s: Session): void;
  ended(s: Session): void;
}
