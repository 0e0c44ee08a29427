/**
 * What a process does with a node core and with membership: still without I/O, and without timers of its own.
 *
 * ```
 *   membership ──members, stable view──▶ core (placement, elections) and links (peers to hold one with)
 *   disk ──a write hangs──▶ membership (unwell), links (none)
 *   membership ──notices──▶ the end of a process that has another's name or cluster
 *   operator ──stop, leave──▶ clients told, leadership handed over, closed
 * ```
 * `main.ts` and the simulator put the same core between real parts and simulated ones.
 */
import type { SwimErrorCode } from '@shoal/swim';
import type { BrokerError } from '../errors.ts';
import type { MemberMeta } from '../ports.ts';
import { DiskWatch } from './disk-watch.ts';
import { Ending } from './ending.ts';
import { Leaving } from './leaving.ts';
import { MemberLog } from './member-log.ts';
import { encodeMeta } from './member-meta.ts';
import { membersOf, peersOf } from './member-policy.ts';
import { Notices } from './notices.ts';
import type { ProcessHost, ProcessNode } from './process-port.ts';

/** A process calls {@link ProcessCore.tick} this often. */
export const TICK_MS = 20;
/** While it is calm: what an idle process costs is mostly how often it wakes. */
export const CALM_TICK_MS = 100;

export interface ProcessOptions {
  readonly name: string;
  /** What this member says of itself at its start. */
  readonly meta: MemberMeta;
  /** Addresses and ways by which this node looks for members. */
  readonly told: readonly string[];
  /** A write to the disk that takes longer is one of a disk that hangs. */
  readonly unwellAfterMs: number;
  /** Longest time that a stop spends on handing over and draining. */
  readonly stopTimeoutMs: number;
}

export class ProcessCore {
  readonly #options: ProcessOptions;
  readonly #core: ProcessNode;
  readonly #host: ProcessHost;
  readonly #disk: DiskWatch;
  readonly #memberLog: MemberLog;
  readonly #notices: Notices;
  readonly #leaving = new Leaving();
  readonly #ending: Ending;
  #meta: MemberMeta;
  /** The stable view that the core was last told of. */
  #stableViewNumber = 0;
  #serving = false;
  #closed = false;

  constructor(options: ProcessOptions, core: ProcessNode, host: ProcessHost) {
    const { name, meta, told, unwellAfterMs, stopTimeoutMs } = options;
    const { log } = host;
    this.#options = options;
    this.#core = core;
    this.#host = host;
    this.#meta = meta;
    this.#disk = new DiskWatch(unwellAfterMs, log);
    this.#memberLog = new MemberLog(log, name, (member) => core.hasStopped(member));
    this.#notices = new Notices({
      told,
      isReady: () => core.ready,
      fatal: (error) => this.fatal(error),
      log,
    });
    this.#ending = new Ending(core, stopTimeoutMs);
  }

  /** What this member says of itself. */
  get meta(): MemberMeta {
    return this.#meta;
  }

  /** Changes what this member says of itself, also while it takes no part in membership yet. */
  setMeta(change: Partial<MemberMeta>): void {
    this.#meta = { ...this.#meta, ...change };
    this.#host.membership()?.setMeta(encodeMeta(this.#meta));
    this.onMembers();
  }

  /** Membership has begun, or its list of members has changed. */
  onMembers(): void {
    const membership = this.#host.membership();
    if (membership === null || this.#closed) return;
    const stableView = membership.stableView();
    this.#stableViewNumber = stableView.number;
    const facts = {
      self: this.#options.name,
      meta: this.#meta,
      members: membership.members(),
      stableView,
      diskHangs: this.#disk.hangs,
    };
    const infos = membersOf(facts);
    this.#memberLog.note(infos);
    this.#core.links.onMembers(infos);
    this.#host.setPeers(peersOf(infos, facts));
  }

  /** The stable view has changed: mostly with the members, just before. */
  onStableView(number: number): void {
    if (number !== this.#stableViewNumber) this.onMembers();
  }

  onNotice(code: SwimErrorCode, address: string): void {
    this.#notices.on(code, address, this.#host.nowMs());
  }

  /** Until the next tick, in milliseconds, unless the node asks for it earlier (`NodeEnv.hasten`). */
  get pauseMs(): number {
    const isCalm = this.#core.calm.now && this.#ending.kind === null && !this.#leaving.underWay;
    return isCalm ? CALM_TICK_MS : TICK_MS;
  }

  tick(): void {
    const nowMs = this.#host.nowMs();
    this.#core.tick();
    this.#watchDisk();
    if (this.#core.ready && !this.#serving) {
      this.#serving = true;
      this.setMeta({ mqtt: this.#host.serve() });
    }
    if (this.#leaving.tick(nowMs, () => this.#host.drained())) {
      this.#host.log('info', 'drained');
      this.#ending.begin('leave', nowMs);
    }
    this.#tickEnding(nowMs);
  }

  /** An operator removes this node: it drains, and leaves when nothing needs it. */
  leave(): void {
    if (this.#leaving.underWay || this.#ending.kind !== null) return;
    this.#leaving.begin(this.#host.nowMs());
    this.setMeta({ leaving: true });
  }

  /** A stop is not a leave: the node keeps its place, and comes back to it. */
  stop(): void {
    const nowMs = this.#host.nowMs();
    this.#ending.begin('stop', nowMs);
    this.#tickEnding(nowMs);
  }

  /** The process cannot go on. One that its cluster refused leaves nothing that others should wait for. */
  fatal(error: BrokerError): void {
    this.#host.log('error', error.message, { code: error.code });
    const membership = this.#host.membership();
    const end = () => this.#host.fatal(error);
    if (error.code === 'BROKER_ERR_JOIN_SETTINGS' && membership !== null) membership.leave(end);
    else end();
  }

  /** The process closes: further events of membership are ignored. */
  close(): void {
    this.#closed = true;
  }

  /** A node whose disk hangs says so; of its main loop, the thread of membership does. */
  #watchDisk(): void {
    if (!this.#disk.look(this.#host.diskUnderWayMs())) return;
    this.#host.membership()?.setUnwell(this.#disk.hangs);
    this.onMembers();
  }

  #tickEnding(nowMs: number): void {
    if (!this.#ending.tick(nowMs)) return;
    if (this.#ending.kind === 'stop') {
      this.#host.close('stopped');
      return;
    }
    const left = () => this.#host.close('left');
    const membership = this.#host.membership();
    if (membership === null) left();
    else membership.leave(left);
  }
}
