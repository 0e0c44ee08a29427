import type { SwimCounters } from '../core/counters.ts';
import type { StableView } from '../core/cut-detector.ts';
import type { SwimMember } from '../core/message.ts';
import type { SealCounters } from '../security/sealer.ts';
import type { KeyringControl } from './keyring-control.ts';

/** What was seen since the start, refused messages included; only ever grows. */
export type SwimAgentCounters = SwimCounters & SealCounters;

/** The keyrings of all members, changed together while they run. */
export type KeyringOperations = Pick<KeyringControl, 'list' | 'install' | 'use' | 'remove'>;

/** What owners hold of a running membership, in the main loop or in a thread of its own. */
export interface SwimHandle {
  /** host:port told to the peers. */
  readonly address: string;
  /** Empty until founded or learned. */
  readonly clusterId: string;
  /** What was seen since the start; of a thread, up to 100 ms old. */
  readonly counters: Readonly<SwimAgentCounters>;
  readonly keyring: KeyringOperations;
  /** Lifeguard's local health score: 0 is well. */
  readonly localHealth: number;
  /** Every member known, sorted by name, this one included. The array never changes. */
  members(): readonly SwimMember[];
  /**
   * The members that are in: failures that come together change it once, and unstable members are
   * out until they are quiet. For placement; who is well right now is in {@link members}.
   */
  view(): StableView;
  /**
   * Joins through the node at `address`, or pulls it into our cluster if it waits for one.
   *
   * @throws SwimError SWIM_ERR_UNREACHABLE, SWIM_ERR_OTHER_CLUSTER, SWIM_ERR_NO_CLUSTER,
   * SWIM_ERR_OWN_ADDRESS, SWIM_ERR_NAME_CONFLICT, SWIM_ERR_MALFORMED, SWIM_ERR_BUSY,
   * SWIM_ERR_ADDRESS_INVALID, SWIM_ERR_STOPPED
   */
  join(address: string): Promise<void>;
  /** Changes what we say of ourselves. @throws SwimError SWIM_ERR_META_TOO_LARGE */
  setMeta(meta: Uint8Array): void;
  /** Tells all members whether this one can do its work: it stays alive, and is shown unwell. */
  setUnwell(unwell: boolean): void;
  /**
   * Tells every member, this one included; resolves when it is on its way. A member that is away for
   * longer than `eventKeepMs` misses it; one that joins later does not get it.
   *
   * @param name 1 to 64 bytes
   * @param payload at most 512 bytes
   * @throws SwimError SWIM_ERR_EVENT_SIZE, SWIM_ERR_EVENT_RATE, SWIM_ERR_STOPPED; nothing is sent
   */
  broadcast(name: string, payload?: Uint8Array): Promise<void>;
  /** Hints that a member may be gone (a connection was reset): probes it at once. */
  probeNow(name: string): void;
  /**
   * The owner saw the process of a member end, as its supervisor does: it is faulty here at once, and to all
   * others within a second. A member that lives after all refutes it.
   *
   * @param bootEpoch of the process that ended, where its name may live on already: then nothing happens
   */
  reportEnd(name: string, bootEpoch?: number): void;
  /**
   * An operator knows that a faulty member never comes back: it counts as left on every member, and is
   * remembered as such. A member that lives after all refutes it, and a new boot epoch is a new member.
   *
   * @returns whether the member counts as left now; false if it is unknown or not faulty
   */
  forceLeave(name: string): Promise<boolean>;
  /** Tells all members that this one leaves; resolves when they are told. Call {@link stop} after it. */
  leave(): Promise<void>;
  /** Closes the sockets without telling the peers, who will find this member faulty. */
  stop(): Promise<void>;
}
