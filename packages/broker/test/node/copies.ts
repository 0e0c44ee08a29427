/** Copies of one shard without a node around them: linked by hand, in virtual time, on slow disks. */
import assert from 'node:assert/strict';
import type { Store } from '../../src/ports.ts';
import type { ReplicaHost, ShardMachine } from '../../src/shard/host.ts';
import type { ShardMessage } from '../../src/shard/message.ts';
import { Replica } from '../../src/shard/replica.ts';
import type { CopyId } from '../../src/shard/view.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';

const STEP_MS = 5;
const LINK_MS = 1;
const TICK_MS = 20;

/** A state that only counts what was applied. */
class Counting implements ShardMachine {
  count = 0;
  /** Every entry is referred to for ever. */
  keepsAll = false;
  /** Bytes of the encoded state. */
  size = 0;
  #freed: number[] = [];

  apply(entry: { readonly index: number }): void {
    this.count++;
    if (!this.keepsAll) this.#freed.push(entry.index);
  }
  encode(): Uint8Array {
    return Buffer.from(String(this.count).padEnd(this.size));
  }
  restore(state: Uint8Array): void {
    this.count = Number(Buffer.from(state).toString());
    this.#freed = [];
  }
  reset(): void {
    this.count = 0;
    this.#freed = [];
  }
  takeFreed(): number[] {
    const freed = this.#freed;
    this.#freed = [];
    return freed;
  }
  liveIndexes(): number[] {
    return this.keepsAll ? Array.from({ length: this.count }, (_, i) => i + 1) : [];
  }
}

interface Established {
  readonly atMs: number;
  readonly leader: CopyId;
  readonly counter: number;
  readonly active: readonly string[];
}

export class TestCopy {
  readonly id: CopyId;
  readonly replica: Replica;
  readonly machine = new Counting();
  /** How long this copy's disk takes to sync. */
  syncMs = 1;
  /** The process is so young that it may have forgotten whom it heard. */
  justBooted = false;
  /** What placement says here, where nodes disagree. */
  targets: readonly CopyId[] | null = null;
  /** A copy that is down neither hears nor is heard. */
  down = false;
  readonly slow: CopyId[] = [];
  readonly phases: string[] = [];
  readonly #shard: TestShard;
  readonly store: MemoryStore;
  /** Where the copy reads from. */
  reads: Store;
  #puts: { key: Uint8Array; value: Uint8Array | null }[] = [];
  #waiting: (() => void)[] = [];
  #answers: { dueMs: number; fn: () => void }[] = [];

  constructor(shard: TestShard, id: CopyId, limits: ReplicaHost['limits']) {
    this.id = id;
    this.#shard = shard;
    this.store = new MemoryStore({ defer: (fn) => this.#later(fn) });
    this.reads = this.store;
    this.replica = new Replica(0, this.#host(limits), this.machine);
  }

  #host(limits: ReplicaHost['limits']): ReplicaHost {
    const shard = this.#shard;
    const reads = () => this.reads;
    return {
      self: this.id,
      bootEpoch: 1,
      replicas: shard.replicas,
      minCopies: Math.max(1, shard.replicas - 1),
      timings: { silenceMs: 500, electionStaggerMs: 200, formationTimeoutMs: 1000 },
      limits,
      get store() {
        return reads();
      },
      nowMs: () => shard.nowMs,
      random: () => 0.5,
      send: (to, _shard, message) => shard.send(this.id, to, message),
      full: (to) => shard.full(this.id, to),
      batch: {
        put: (key, value) => this.#puts.push({ key, value }),
        onDurable: (fn) => this.#waiting.push(fn),
      },
      dirty: () => {},
      heard: (id) => !this.down && shard.copies.get(id)?.down === false,
      ended: () => false,
      justBooted: () => this.justBooted,
      targets: () => this.targets ?? shard.targets,
      voters: () => shard.voters,
      removable: () => 'yes',
      mayHandover: () => shard.handovers,
      onSlow: (_shard, id) => this.slow.push(id),
      onElection: () => {},
      onEstablished: () => {
        const { number, active } = this.replica.view;
        const { counter } = number;
        shard.established.push({ atMs: shard.nowMs, leader: this.id, counter, active });
        for (const copy of shard.copies.values()) copy.replica.onViewKnown(number);
      },
      onDeposed: () => {},
      onCommitted: () => {},
      trace: (phase) => this.phases.push(phase),
    };
  }

  /** Appends an entry of so many bytes as leader. */
  propose(bytes = 10): void {
    this.replica.appending.propose(1, (w) => w.bytes(new Uint8Array(bytes)), undefined);
  }

  turn(): void {
    this.replica.appending.flush();
    const waiting = this.#waiting;
    if (this.#puts.length === 0 && waiting.length === 0) return;
    const puts = this.#puts;
    this.#puts = [];
    this.#waiting = [];
    this.#delayMs = this.syncMs;
    this.store.write(puts, true, () => {
      for (const fn of waiting) fn();
    });
    this.#delayMs = 0;
  }

  #delayMs = 0;
  /** When the sync under way ends, and the one after it. */
  #syncedMs = 0;
  #nextSyncedMs = 0;

  #later(fn: () => void): void {
    const { nowMs } = this.#shard;
    if (this.#delayMs === 0) return void this.#answers.push({ dueMs: nowMs, fn });
    // One sync after another; all that comes during one waits for the next.
    if (nowMs >= this.#syncedMs) this.#syncedMs = this.#nextSyncedMs;
    if (nowMs >= this.#syncedMs) this.#syncedMs = this.#nextSyncedMs = nowMs + this.#delayMs;
    else if (this.#nextSyncedMs <= this.#syncedMs)
      this.#nextSyncedMs = this.#syncedMs + this.#delayMs;
    this.#answers.push({ dueMs: this.#nextSyncedMs, fn });
  }

  settle(): void {
    for (;;) {
      const due = this.#answers.findIndex((a) => a.dueMs <= this.#shard.nowMs);
      if (due < 0) return;
      const [answer] = this.#answers.splice(due, 1);
      answer!.fn();
    }
  }
}

/** One shard: the first copy founds it; placement and silence are what the test says. */
export class TestShard {
  nowMs = 1000;
  readonly replicas: number;
  readonly copies = new Map<CopyId, TestCopy>();
  targets: readonly CopyId[] = [];
  voters: readonly CopyId[] = [];
  readonly established: Established[] = [];
  /** Whether leaders hand over to whom placement prefers. */
  handovers = false;
  /** Drops what returns true: a link that loses messages while both ends live. */
  drop: (from: CopyId, to: CopyId, message: ShardMessage) => boolean = () => false;
  /** Whether the way from one copy to another has no room for data. */
  full: (from: CopyId, to: CopyId) => boolean = () => false;
  readonly #limits: ReplicaHost['limits'];
  #underWay: { dueMs: number; from: CopyId; to: CopyId; message: ShardMessage }[] = [];

  constructor(replicas: number, limits = { checkpointEvery: 1000, tailKeep: 1000 }) {
    this.replicas = replicas;
    this.#limits = limits;
  }

  add(id: CopyId): TestCopy {
    const copy = new TestCopy(this, id, this.#limits);
    this.copies.set(id, copy);
    if (this.copies.size === 1) copy.replica.found();
    return copy;
  }

  send(from: CopyId, to: CopyId, message: ShardMessage): void {
    if (this.drop(from, to, message)) return;
    this.#underWay.push({ dueMs: this.nowMs + LINK_MS, from, to, message });
  }

  get leader(): TestCopy | undefined {
    return [...this.copies.values()].find((c) => c.replica.role === 'leader');
  }

  /** Lets so much time go by, or less if `until` comes true; whether it did. */
  run(ms: number, until: () => boolean = () => false, each: () => void = () => {}): boolean {
    const endMs = this.nowMs + ms;
    while (this.nowMs < endMs) {
      this.nowMs += STEP_MS;
      each();
      this.#step();
      if (until()) return true;
    }
    return until();
  }

  #step(): void {
    const due = this.#underWay.filter((m) => m.dueMs <= this.nowMs);
    this.#underWay = this.#underWay.filter((m) => m.dueMs > this.nowMs);
    for (const { from, to, message } of due) {
      const copy = this.copies.get(to);
      if (copy && !copy.down && !this.copies.get(from)!.down) copy.replica.onMessage(from, message);
    }
    for (const copy of this.copies.values()) {
      if (copy.down) continue;
      copy.settle();
      copy.turn();
      if (this.nowMs % TICK_MS === 0) copy.replica.tick(this.nowMs);
      copy.turn();
    }
  }
}

/** Three copies that are all active, of which the first leads. */
export function threeCopies(ids: readonly [CopyId, CopyId, CopyId]): {
  shard: TestShard;
  a: TestCopy;
  b: TestCopy;
  c: TestCopy;
} {
  const shard = new TestShard(3);
  const [a, b, c] = ids.map((id) => shard.add(id));
  shard.targets = ids;
  shard.voters = ids;
  const whole = () => {
    const view = shard.leader?.replica.view;
    return view?.active.length === 3 && view.voters.length === 3 && view.oldVoters.length === 0;
  };
  assert.ok(shard.run(10_000, whole));
  assert.equal(shard.leader, a);
  shard.established.length = 0;
  return { shard, a: a!, b: b!, c: c! };
}
