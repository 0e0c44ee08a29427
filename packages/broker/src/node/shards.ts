/** The copies that this node holds, and what they need of it: the node as {@link ReplicaHost}. */

import type { ClusterSettings } from '../cluster-settings.ts';
import { TopicIndex } from '../mqtt/topic-index.ts';
import type { NodeEnv, Store } from '../ports.ts';
import { ShardState } from '../session/shard-state.ts';
import type { Complaint, ReplicaHost, ReplicaLimits, ReplicaTimings } from '../shard/host.ts';
import type { ShardMessage } from '../shard/message.ts';
import { Replica } from '../shard/replica.ts';
import { type CopyId, nameOf, type ViewNumber } from '../shard/view.ts';
import type { Batch } from './batch.ts';
import type { LeadPort } from './lead/lead-port.ts';
import { ShardLeader } from './lead/leader.ts';
import { Lane } from './link/lanes.ts';
import { LinkMessage } from './link/link-message.ts';
import type { Peers } from './link/peers.ts';
import { printWith } from './link/views.ts';
import { Complaints, type LoadProblem, LoadReport } from './members/load-report.ts';
import type { Marks } from './members/marks.ts';
import type { Membership } from './members/membership.ts';
import { Rounds, TURNS } from './rounds.ts';

export interface ShardsOptions {
  readonly self: CopyId;
  readonly bootEpoch: number;
  readonly cluster: ClusterSettings;
  readonly timings: ReplicaTimings;
  readonly limits: ReplicaLimits;
  /** Why no copy can be believed, found before the store was opened. */
  readonly damage: string | null;
  readonly acceptLoss: boolean;
}

export interface ShardsNode {
  readonly lead: LeadPort;
  readonly env: Pick<NodeEnv, 'nowMs' | 'random' | 'scheduleFlush' | 'store' | 'log' | 'trace'>;
  readonly peers: Peers;
  readonly batch: Batch;
  readonly membership: Membership;
  readonly marks: Marks | undefined;
  readonly bootedMs: number;
  onEstablished(shard: number, again: boolean): void;
  onDeposed(shard: number): void;
}

/** Planned changes of leader that one node starts per second. */
const HANDOVERS_PER_SECOND = 200;
/**
 * Shards led by one node that bring up learners at the same time; the others of its moves wait. Not fewer:
 * while a shard changes its view its leader has no lease, and many changes in a row hold up publishes for
 * longer than many at once.
 */
const MOVING_SHARDS_MAX = 512;
/** Shards that are read from disk at the same time when a node starts, a page of each in memory. */
const LOADING_SHARDS_MAX = 8;
/** Between two log lines about the same slow node. */
const SLOW_LOG_MS = 60_000;
/** Shards of which one peer is sent the data at a time; the others wait their turn. */
const TRANSFERS_MAX = 8;
/**
 * Bytes of log entries that all shards hold in memory for copies that are behind; beyond, what they lack
 * is read from disk when it is sent.
 */
const LOG_BYTES_MAX = 64 * 1024 * 1024;
/** How long moves of copies and leaders may follow a change of who is a member, or of a link. */
const AFTER_MEMBERS_MS = 10_000;
/** Messages by which copies agree on a view: small, and waited for. */
const VOTES: ReadonlySet<ShardMessage['type']> = new Set([
  'prepare',
  'promise',
  'fetch',
  'installed',
  'record',
  'recorded',
  'refused',
  'handover',
  'leading',
  'not-leading',
]);

export class Shards implements ReplicaHost {
  readonly self: CopyId;
  readonly bootEpoch: number;
  readonly #cluster: ClusterSettings;
  readonly timings: ReplicaTimings;
  readonly limits: ReplicaLimits;
  readonly damage: string | null;
  readonly acceptLoss: boolean;
  readonly marks?: Marks;
  readonly #node: ShardsNode;
  readonly #complaints = new Complaints();
  readonly copies: Replica[] = [];
  readonly leaders: ShardLeader[] = [];
  /** Topics with a retained message in any shard held here. */
  readonly topics = new TopicIndex();
  /** Shards led here. */
  readonly led = new Set<Replica>();
  /** What leads them, by the tick in which it is looked at. */
  readonly #ledByTurn = Array.from({ length: TURNS }, () => new Set<ShardLeader>());
  #ledPrint = 0;
  #dirty = new Set<Replica>();
  readonly #rounds = new Rounds<Replica>();
  /** Peers that were heard in the tick before. */
  #heard = new Set<string>();
  #handovers = 0;
  #handoversSinceMs = 0;
  /** Shards led here that bring up learners, as of this tick. */
  #moving = 0;
  /** When it was last logged that a node's copies are too slow, by name. */
  readonly #slowLoggedMs = new Map<string, number>();
  /** Transfers under way to each peer. */
  readonly #transfers = new Map<CopyId, number>();
  #keepBytes = LOG_BYTES_MAX;

  constructor(options: ShardsOptions, node: ShardsNode) {
    this.self = options.self;
    this.bootEpoch = options.bootEpoch;
    this.#cluster = options.cluster;
    this.timings = options.timings;
    this.limits = options.limits;
    this.damage = options.damage;
    this.acceptLoss = options.acceptLoss;
    if (node.marks) this.marks = node.marks;
    this.#node = node;
  }

  get replicas(): number {
    return this.#cluster.replicas;
  }

  get minCopies(): number {
    return this.#cluster.minCopies;
  }

  get batch(): Batch {
    return this.#node.batch;
  }

  get store(): Store {
    return this.#node.env.store;
  }

  create(shardCount: number): void {
    for (let shard = this.copies.length; shard < shardCount; shard++) {
      const state = new ShardState(this.#node.lead.counters, this.topics);
      const replica = new Replica(shard, this, state);
      this.copies.push(replica);
      this.leaders.push(new ShardLeader(replica, state, this.#node.lead));
    }
  }

  /** Loads every copy from disk. @param done with what cannot be lived with */
  load(done: (problem: LoadProblem | null) => void): void {
    let left = this.copies.length;
    let at = 0;
    const report = new LoadReport();
    if (left === 0) return done(null);
    const next = (): void => {
      const copy = this.copies[at++];
      if (!copy) return;
      copy.load((corruption) => {
        if (corruption) report.add(copy.shard, corruption);
        if (--left === 0) return done(report.finish(this.#node.env.log));
        next();
      });
    };
    for (let n = 0; n < LOADING_SHARDS_MAX; n++) next();
  }

  /** What leads the shard here; null if it is led elsewhere. */
  serving(shard: number): ShardLeader | null {
    const leader = this.leaders[shard];
    return leader?.serving ? leader : null;
  }

  *copiesOf(listed: Iterable<number>): Generator<Replica> {
    for (const shard of listed) yield this.copies[shard]!;
  }

  /** Print of the shards led here; see {@link printWith}. */
  get ledPrint(): number {
    return this.#ledPrint;
  }

  found(): void {
    for (const copy of this.copies) copy.found();
  }

  /** Copies change what they hold, or may want to. */
  busy(nowMs: number): boolean {
    return !this.#rounds.calm(nowMs) || this.#moving > 0 || this.#transfers.size > 0;
  }

  /** @param calm comes for as many ticks as there are turns */
  tick(nowMs: number, calm: boolean): void {
    const { copies } = this;
    this.#complaints.flush(this.#node.env.log);
    this.marks?.flush(nowMs);
    const rounds = this.#rounds;
    if (rounds.counts || this.#moving > 0) {
      this.#moving = 0;
      for (const copy of this.led) if (copy.learnerCount > 0) this.#moving++;
    }
    if (rounds.counts || this.#transfers.size > 0) this.#count();
    if (this.#hears(nowMs)) rounds.tick(copies, nowMs, (copy) => copy.tick(nowMs));
    else this.onSilent(nowMs);
    for (const [turn, leaders] of this.#ledByTurn.entries())
      if (calm || turn === rounds.turn) for (const leader of leaders) leader.tick(nowMs);
    rounds.next();
  }

  /** @returns false if some peer that was heard is heard no more */
  #hears(nowMs: number): boolean {
    let all = true;
    for (const { id, name } of this.#node.peers.byName.values()) {
      if (this.heard(id)) {
        if (this.#heard.has(name)) continue;
        this.#heard.add(name);
        this.#rounds.stirAll(nowMs + AFTER_MEMBERS_MS);
      } else if (this.#heard.delete(name)) all = false;
    }
    return all;
  }

  /** Membership has changed, and with it what placement wants. */
  onMembers(): void {
    this.#rounds.stirAll(this.nowMs() + AFTER_MEMBERS_MS);
  }

  onMessage(shard: number, from: CopyId, message: ShardMessage): void {
    const copy = this.copies[shard];
    if (!copy) return;
    this.#rounds.stir(copy);
    copy.onMessage(from, message);
  }

  /**
   * Copies that take no part until an operator says so, and what `perform` does with them: one that
   * contradicts its shard becomes a learner; one that is short counts again, where no other answers.
   */
  recover(perform: boolean): { shard: number; step: 'discard' | 'restore'; why: string }[] {
    const steps: ReturnType<Shards['recover']> = [];
    for (const copy of this.copies) {
      const { shard, contradiction } = copy;
      const others = copy.view.active.some((id) => id !== this.self && this.heard(id));
      if (contradiction === null && (copy.valid || others || !copy.isActive(this.self))) continue;
      const step = contradiction === null ? 'restore' : 'discard';
      const why =
        contradiction ?? 'the copy lost entries that it acknowledged, and no other copy answers';
      if (perform && copy.recover() === null) continue;
      steps.push({ shard, step, why });
    }
    return steps;
  }

  /** A node is not heard any more: its copies are left out, and its shards led by others, at once. */
  onSilent(nowMs: number): void {
    this.#rounds.stirAll(nowMs + AFTER_MEMBERS_MS);
    for (const copy of this.copies) copy.tick(nowMs);
  }

  /** The process ends: no copy says anything any more. */
  standStill(): void {
    for (const copy of this.copies) copy.standStill();
  }

  /** End of turn: what was appended goes to the other copies. */
  flush(): void {
    while (this.#dirty.size > 0) {
      const dirty = this.#dirty;
      this.#dirty = new Set();
      for (const copy of dirty) copy.appending.flush();
    }
  }

  // ---- ReplicaHost -----------------------------------------------------------------------------

  nowMs(): number {
    return this.#node.env.nowMs();
  }

  random(): number {
    return this.#node.env.random();
  }

  send(to: CopyId, shard: number, message: ShardMessage): void {
    const peer = this.#node.peers.get(nameOf(to));
    if (peer?.id !== to) return;
    this.#rounds.stir(this.copies[shard]!);
    const w = this.#node.peers.to(peer.name, this.#laneOf(to, shard, message));
    if (w) LinkMessage.Shard.write(w, shard, message);
  }

  get keepBytes(): number {
    return this.#keepBytes;
  }

  mayTransfer(to: CopyId): boolean {
    const moving = this.#transfers.get(to) ?? 0;
    if (moving >= TRANSFERS_MAX || this.full(to)) return false;
    this.#transfers.set(to, moving + 1);
    return true;
  }

  /** What all copies hold in memory, and which transfers are under way: counted anew each tick. */
  #count(): void {
    let bytes = 0;
    this.#transfers.clear();
    for (const copy of this.copies) {
      bytes += copy.log.memBytes;
      if (copy.learnerCount === 0) continue;
      for (const id of copy.learners)
        if (copy.isMoving(id)) this.#transfers.set(id, (this.#transfers.get(id) ?? 0) + 1);
    }
    const spare = bytes < LOG_BYTES_MAX;
    this.#keepBytes = spare ? LOG_BYTES_MAX : LOG_BYTES_MAX / Math.max(1, this.copies.length);
  }

  full(to: CopyId): boolean {
    return this.#node.peers.full(nameOf(to));
  }

  /**
   * Votes wait behind no data. Only a leader's question for the next view stays behind the entries that
   * it has sent: who promises before they come would refuse them, and seem to lack them.
   */
  #laneOf(to: CopyId, shard: number, { type }: ShardMessage): Lane {
    if (!VOTES.has(type)) return Lane.Bulk;
    return type === 'prepare' && this.copies[shard]!.awaits(to) ? Lane.Bulk : Lane.Urgent;
  }

  dirty(shard: number): void {
    const copy = this.copies[shard]!;
    this.#dirty.add(copy);
    this.#rounds.stir(copy);
    this.#node.env.scheduleFlush();
  }

  heard(id: CopyId): boolean {
    if (id === this.self) return true;
    const peer = this.#node.peers.get(nameOf(id));
    if (peer?.id !== id || peer.refused) return false;
    return this.nowMs() - peer.heardMs < this.timings.silenceMs;
  }

  ended(number: ViewNumber): boolean {
    return this.#node.membership.ended(number);
  }

  justBooted(): boolean {
    return this.nowMs() - this.#node.bootedMs < this.timings.silenceMs;
  }

  targets(shard: number): readonly CopyId[] {
    return this.#node.membership.targets(shard, this.nowMs());
  }

  voters(shard: number): readonly CopyId[] {
    return this.#node.membership.voters(shard);
  }

  removable(id: CopyId): 'yes' | 'replace' | 'no' {
    return this.#node.membership.removable(id, this.nowMs());
  }

  mayHandover(): boolean {
    const nowMs = this.nowMs();
    if (nowMs - this.#handoversSinceMs >= 1000) {
      this.#handoversSinceMs = nowMs;
      this.#handovers = 0;
    }
    return ++this.#handovers <= HANDOVERS_PER_SECOND;
  }

  mayLearn(): boolean {
    return this.#moving++ < MOVING_SHARDS_MAX;
  }

  onSlow(shard: number, id: CopyId, tookMs: number): void {
    const { lead, env } = this.#node;
    const peer = nameOf(id);
    const nowMs = this.nowMs();
    lead.counters.copiesTooSlow++;
    if (nowMs - (this.#slowLoggedMs.get(peer) ?? Number.NEGATIVE_INFINITY) < SLOW_LOG_MS) return;
    for (const name of this.#slowLoggedMs.keys())
      if (!this.#node.peers.get(name)) this.#slowLoggedMs.delete(name);
    this.#slowLoggedMs.set(peer, nowMs);
    const fields = { peer, shard, tookMs: Math.round(tookMs) };
    env.log('warn', 'copy too slow: left out of its view for now', fields);
  }

  onElection(): void {
    this.#node.lead.counters.elections++;
  }

  onEstablished(shard: number, again: boolean): void {
    const copy = this.copies[shard]!;
    if (!this.led.has(copy)) this.#ledPrint = printWith(this.#ledPrint, shard);
    const leader = this.leaders[shard]!;
    this.led.add(copy);
    this.#ledByTurn[shard % TURNS]!.add(leader);
    leader.onEstablished(again);
    this.#node.onEstablished(shard, again);
  }

  onDeposed(shard: number): void {
    const leader = this.leaders[shard]!;
    if (this.led.delete(this.copies[shard]!)) this.#ledPrint = printWith(this.#ledPrint, shard);
    this.#ledByTurn[shard % TURNS]!.delete(leader);
    leader.onDeposed();
    this.#node.onDeposed(shard);
  }

  onCommitted(shard: number): void {
    this.leaders[shard]!.onCommitted();
  }

  report(shard: number, what: Complaint, why: string): void {
    this.#complaints.add(shard, what, why);
  }

  trace(phase: string, fields?: Record<string, unknown>): void {
    this.#node.env.trace?.(phase, fields);
  }
}
