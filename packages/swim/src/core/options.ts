import type { SwimConfig } from '../config.ts';
import type { Random } from '../ports.ts';
import type { HostOf } from './cut-detector.ts';
import type { MemberList } from './member-list.ts';
import type { MemberState, VersionRange } from './message.ts';
import type { StatementTable } from './statement.ts';
import type { SwimSwitches } from './switches.ts';

/** What a Swim core is made of. */
export interface SwimOptions {
  readonly config: SwimConfig;
  /** 1 to 128 bytes; one running process per name. */
  readonly name: string;
  /** Higher at every start of the process than ever before. A safe integer ≥ 0. */
  readonly bootEpoch: number;
  /** At most 64 bytes. Empty for a joiner: learned by the first exchange with a member of a cluster. */
  readonly clusterId: string;
  /** host:port at which peers reach this process, by datagram and stream. */
  readonly address: string;
  /** At most 512 bytes. */
  readonly meta: Uint8Array;
  readonly random: Random;
  /** Versions of the wire format to speak; default all that this code knows. */
  readonly versions?: VersionRange;
  /**
   * One for many cores of one process (a simulator); default one of its own.
   *
   * @internal
   */
  readonly table?: StatementTable;
  /** What counts as one host where the stable view is formed; default: each member is one. */
  readonly hostOf?: HostOf | undefined;
  /**
   * Members known from the start, in the same table: a warm start for simulations.
   *
   * @internal
   */
  readonly known?: MemberList;
  /**
   * For experiments; everything is on without it.
   *
   * @internal
   */
  readonly switches?: SwimSwitches;
  /** For measurements: told every change of a member's state within the step that makes it. */
  readonly onState?: (name: string, state: MemberState) => void;
}
