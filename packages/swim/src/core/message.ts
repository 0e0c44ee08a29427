/** States of a member; a later one overrides an earlier one of the same incarnation. */
export const MEMBER_STATES = [
  'alive',
  'suspect',
  'faulty',
  'left',
] as const satisfies readonly MemberState[];

export type MemberState = 'alive' | 'suspect' | 'faulty' | 'left';

/** Rank within one incarnation: alive < suspect < faulty < left. */
export function stateRank(state: MemberState): number {
  return MEMBER_STATES.indexOf(state);
}

/** A member as the public door shows it. */
export interface SwimMember {
  readonly name: string;
  /** Fresh at every start of the process; a higher one replaces whatever is known. */
  readonly bootEpoch: number;
  /** Raised by the member itself, to refute and to change its metadata. */
  readonly incarnation: number;
  readonly state: MemberState;
  /** host:port of its cluster address. */
  readonly address: string;
  /** At most 512 bytes, opaque here. */
  readonly meta: Uint8Array;
  /** Says of itself that it runs but does not do its work. */
  readonly unwell: boolean;
}

/**
 * What one member says of another, whole.
 *
 * Address and metadata come along in every state: they belong to the incarnation, so a member that takes
 * over an incarnation must take over its metadata too.
 */
export interface Update extends SwimMember {
  /** Of a suspect or a faulty member: its host told several members that no process listens at its address. */
  readonly refused?: boolean;
  /** Versions of this protocol that the member speaks, from..to. */
  readonly versions: VersionRange;
  /** Seconds since the member was found faulty or left; 0 otherwise. Lets all forget alike. */
  readonly ageS: number;
  /**
   * Who suspects: independent suspicions shorten the timeout (Lifeguard). Of a left member: where an
   * operator removed it, empty if it said so itself. Otherwise empty.
   */
  readonly accuser: string;
}

/** Protocol versions, both ends included; 1..255. */
export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

/** Who sends, and in which cluster; on every message. */
export interface Header {
  /** Of the wire format of this message. */
  readonly version: number;
  readonly clusterId: string;
  readonly name: string;
  readonly bootEpoch: number;
}

/** The probed member and what the prober believes of it, so that it can correct a stale belief. */
export interface ProbeTarget {
  readonly target: string;
  readonly targetBootEpoch: number;
  readonly targetIncarnation: number;
}

/** A hash of the members that the sender holds present; it shows what gossip missed. */
export interface Digest {
  readonly digest: number;
}

export type Body =
  | ({ readonly type: 'ping'; readonly seq: number } & Digest & ProbeTarget)
  /** `remainingMs` is the time the prober still waits; the helper nacks at 80 % of it. */
  | ({
      readonly type: 'ping-req';
      readonly seq: number;
      readonly remainingMs: number;
    } & ProbeTarget)
  | ({ readonly type: 'ack'; readonly seq: number; readonly target: string } & Digest)
  /** From a helper: I am well, and heard nothing from the target. */
  | { readonly type: 'nack'; readonly seq: number; readonly target: string }
  /** The target's address is mine now, and I am another member: the target is a ghost. */
  | { readonly type: 'not-me'; readonly seq: number; readonly target: string }
  /** The target's host refused me a connection: does it refuse you one, too? */
  | ({ readonly type: 'look'; readonly seq: number } & ProbeTarget)
  /** From one that looked: it does, and the target does not answer. */
  | { readonly type: 'refused'; readonly seq: number; readonly target: string }
  /** Updates only. */
  | { readonly type: 'gossip' }
  /** Push-pull: the whole state, over a stream. */
  | { readonly type: 'sync' }
  | { readonly type: 'sync-ack' }
  | { readonly type: 'sync-refused'; readonly reason: RefusalReason }
  /** Push-pull by digest: hashes of what I hold, by branch. */
  | { readonly type: 'digest'; readonly branches: readonly number[] }
  /** The leaves of the branches that differ. */
  | { readonly type: 'digest-ack'; readonly branches: readonly BranchSums[] }
  /** My members in the leaves that differ; answered by a sync-ack with yours. */
  | { readonly type: 'sync-leaves'; readonly leaves: readonly number[] };

/** Branches of the hash tree over members, and leaves of each branch. */
export const FAN_OUT = 64;

/** The sums of one branch's leaves. */
export interface BranchSums {
  readonly branch: number;
  /** {@link FAN_OUT} u32. */
  readonly sums: readonly number[];
}

export const REFUSAL_REASONS = [
  'other-cluster',
  'no-cluster',
  'other-version',
  'name-taken',
] as const;

export type RefusalReason = (typeof REFUSAL_REASONS)[number];

export interface Message {
  readonly header: Header;
  readonly body: Body;
  readonly updates: readonly Update[];
  /** User events, each as its own codec wrote it. */
  readonly events: readonly Uint8Array[];
}

/** Bounds of the wire format. */
export const NAME_BYTES_MAX = 128;
export const CLUSTER_ID_BYTES_MAX = 64;
export const ADDRESS_BYTES_MAX = 255;
export const META_BYTES_MAX = 512;
export const EVENT_BYTES_MAX = 1_024;
/** Largest incarnation; a member that got there is renewed by its next boot epoch. */
export const INCARNATION_MAX = 0xffff_ffff;

/** First byte of every datagram and stream: 'S'. */
export const SWIM_MAGIC = 0x53;
/** Versions of the wire format that this code speaks. */
export const SWIM_VERSIONS: VersionRange = { min: 1, max: 1 };

/** The version in which two speak: the highest both know; undefined if there is none. */
export function commonVersion(left: VersionRange, right: VersionRange): number | undefined {
  const version = Math.min(left.max, right.max);
  return version >= left.min && version >= right.min ? version : undefined;
}

/** For switches over unions: a case that was forgotten does not compile. */
export function assertNever(value: never): never {
  throw new Error(`unexpected ${JSON.stringify(value)}`);
}
