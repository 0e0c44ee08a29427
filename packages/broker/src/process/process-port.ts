/** What the process core needs of the node and of the process around it, as small interfaces. */
import type { StableView, SwimMember } from '@shoal/swim';
import type { BrokerError } from '../errors.ts';
import type { LinkPeer, Log, MemberInfo } from '../ports.ts';

/** The node core, as its process uses it. */
export interface ProcessNode {
  /** Clients may be served. */
  readonly ready: boolean;
  /** Whether nothing is under way. */
  readonly calm: { readonly now: boolean };
  readonly links: { onMembers(members: readonly MemberInfo[]): void };
  tick(): void;
  flush(): void;
  /** Takes no more clients and ends the present ones, telling them why. */
  disconnectAll(reasonCode: number): void;
  /** Requests of this node that no leader has answered. */
  readonly unanswered: number;
  /** Asks another active copy of every shard led here to lead it. */
  handOverAll(): void;
  /** Whether a shard led here has another active copy that could lead it. */
  readonly canHandOver: boolean;
  /** The links, told that this node stops in order. */
  readonly peers: { sayStopped(): void };
  /** Whether a member's process has ended in order. */
  hasStopped(member: Pick<MemberInfo, 'name' | 'bootEpoch'>): boolean;
}

/** Membership, as the process uses it. */
export interface ProcessMembership {
  members(): readonly SwimMember[];
  stableView(): StableView;
  setMeta(meta: Uint8Array): void;
  setUnwell(unwell: boolean): void;
  /** Says to all members that this one leaves; `done` when it is said. */
  leave(done: () => void): void;
}

/** The process around the core: real sockets and a real disk in `main.ts`, simulated ones in `sim/`. */
export interface ProcessHost {
  /** Monotonic milliseconds. */
  nowMs(): number;
  readonly log: Log;
  /** Null until this node takes part in membership. */
  membership(): ProcessMembership | null;
  /** Holds a link with each of these and with no other. */
  setPeers(peers: readonly LinkPeer[]): void;
  /** For how long the oldest write to the disk has been under way; 0 for none. */
  diskUnderWayMs(): number;
  /** No view needs this node, which leaves, and it has no clients. */
  drained(): boolean;
  /** Lets clients in. @returns the address for clients that this member says of itself */
  serve(): string;
  /** The node has ended in order: the process is to close everything. */
  close(how: 'stopped' | 'left'): void;
  /** The process is to end with this error. */
  fatal(error: BrokerError): void;
}
