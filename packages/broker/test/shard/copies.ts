/** Copies of one shard without nodes: linked at once, disks in memory, virtual time. */
import type { Writer } from '../../src/bytes.ts';
import type { Complaint, Mark, ReplicaHost, ShardMachine } from '../../src/shard/host.ts';
import { entryKey, hardKey } from '../../src/shard/keys.ts';
import { encodeEntry } from '../../src/shard/log.ts';
import { markHard } from '../../src/shard/marking.ts';
import type { ShardMessage } from '../../src/shard/message.ts';
import { decodeHard, encodeHard, type HardState } from '../../src/shard/record.ts';
import type { Corruption } from '../../src/shard/recovery.ts';
import { Replica } from '../../src/shard/replica.ts';
import {
  type CopyId,
  NO_NUMBER,
  NO_VIEW,
  type View,
  type ViewNumber,
} from '../../src/shard/view.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';

export const IDS: readonly CopyId[] = ['n1#s', 'n2#s', 'n3#s'];
export const [N1, N2, N3] = IDS as [CopyId, CopyId, CopyId];

export function numberOf(counter: number, leader: CopyId = N1, bootEpoch = 1): ViewNumber {
  return { counter, leader, bootEpoch };
}

/** A view in which all three vote. */
export function viewOf(number: ViewNumber, active: readonly CopyId[], startIndex: number): View {
  return { number, voters: IDS, oldVoters: [], active, startIndex };
}

/** Keeps the payloads that it was given, by index. */
export class ListMachine implements ShardMachine {
  list: string[] = [];

  apply(entry: { readonly operation: Uint8Array }): void {
    this.list.push(Buffer.from(entry.operation).toString());
  }

  encode(): Uint8Array {
    return Buffer.from(JSON.stringify(this.list));
  }

  restore(state: Uint8Array): void {
    this.list = JSON.parse(Buffer.from(state).toString());
  }

  reset(): void {
    this.list = [];
  }

  takeFreed(): number[] {
    return [];
  }

  liveIndexes(): number[] {
    return this.list.map((_, i) => i + 1);
  }
}

/** Sees what goes on between copies. */
export interface Watcher {
  /** A message arrives, or is lost on its way. */
  onMessage(from: CopyId, to: CopyId, m: ShardMessage, lost: boolean): void;
  /** Something happened at this machine. */
  onStep(machine: Machine): void;
}

export interface CopyOptions {
  readonly damage?: string;
  readonly acceptLoss?: boolean;
}

const NOTHING_RECORDED: HardState = {
  promised: NO_NUMBER,
  view: NO_VIEW,
  valid: true,
  cut: false,
};

/** One machine: its disk and marks outlive the copies that run on it. */
export class Machine {
  readonly id: CopyId;
  readonly marks = new Map<number, Mark>();
  readonly complaints: [Complaint, string][] = [];
  readonly sent: { readonly to: CopyId; readonly m: ShardMessage }[] = [];
  readonly #work: (() => void)[] = [];
  readonly store: MemoryStore;
  readonly #copies: Copies;
  state = new ListMachine();
  copy!: Replica;
  up = false;
  #puts: { key: Uint8Array; value: Uint8Array | null }[] = [];
  #waiting: (() => void)[] = [];
  /** Syncs take for ever: nothing becomes durable. */
  stalled = false;
  /** The process stands still, and is not heard: what is sent to it waits. */
  paused = false;
  readonly unread: (() => void)[] = [];
  /** The process is so young that it may have forgotten whom it heard. */
  justBooted = false;
  /** Copies on the way to which there is no room for data. */
  readonly full = new Set<CopyId>();
  mayTransfer = true;
  mayLearn = true;
  /** Copies that were told to be too slow. */
  readonly slow: CopyId[] = [];
  readonly traces: [string, Record<string, unknown> | undefined][] = [];
  /** Of each time that it began to lead, whether it did before. */
  readonly established: boolean[] = [];
  /** How often the copy has asked for the end of the turn. */
  dirtied = 0;
  /** Counts the processes. */
  bootEpoch = 0;

  constructor(copies: Copies, id: CopyId) {
    this.#copies = copies;
    this.id = id;
    this.store = new MemoryStore({ defer: (fn) => this.#work.push(fn) });
  }

  /** A new process with an empty memory; not loaded. */
  start(options: CopyOptions = {}): Replica {
    this.up = true;
    this.bootEpoch++;
    this.#puts = [];
    this.#waiting = [];
    this.state = new ListMachine();
    this.copy = new Replica(0, this.#host(options), this.state);
    return this.copy;
  }

  /** A new process that reads its disk. */
  restart(options: CopyOptions = {}): Corruption | null {
    const copy = this.start(options);
    let result: Corruption | null | undefined;
    copy.load((corruption) => {
      result = corruption;
    });
    this.turn();
    if (result === undefined) throw new Error('load does not end');
    return result;
  }

  /** Puts what is under way on disk, and runs who waits for it. */
  turn(): void {
    this.copy.appending.flush();
    this.settle();
    while (!this.stalled && this.#puts.length + this.#waiting.length > 0) {
      const [puts, waiting] = [this.#puts, this.#waiting];
      this.#puts = [];
      this.#waiting = [];
      this.store.write(puts, true, () => {
        for (const fn of waiting) fn();
      });
      this.settle();
    }
  }

  settle(): void {
    for (let fn = this.#work.shift(); fn; fn = this.#work.shift()) fn();
  }

  /** Something happens to the disk behind the copy's back. */
  change(key: Uint8Array, value: Uint8Array | null): void {
    this.store.write([{ key, value }], true, () => {});
    this.settle();
  }

  /** What is on this machine's disk under a key. */
  read(key: Uint8Array): Uint8Array | undefined {
    let value: Uint8Array | undefined;
    this.store.getMany([key], ([found]) => {
      value = found;
    });
    this.settle();
    return value;
  }

  /** Changes the record of promises and view on the disk, and the marks beside it, as a copy does. */
  record(change: Partial<HardState>): void {
    const bytes = this.read(hardKey(0));
    const before = bytes ? decodeHard(bytes) : NOTHING_RECORDED;
    const hard = { ...before, ...change };
    this.change(hardKey(0), encodeHard(hard));
    const { promised, view, cut } = hard;
    const marks = {
      get: (shard: number) => this.marks.get(shard),
      set: (shard: number, mark: Mark) => void this.marks.set(shard, mark),
    };
    markHard(marks, 0, promised.counter, view.number, !cut);
  }

  /** Puts entries 1 to `count` of this view on the disk: acknowledged, and known to be committed. */
  hold(count: number, number: ViewNumber): void {
    for (let i = 1; i <= count; i++) this.change(entryKey(0, i), entryOf(i, number));
    this.marks.set(0, { ...this.marks.get(0)!, durable: count, commit: count });
  }

  #host(options: CopyOptions): ReplicaHost {
    const copies = this.#copies;
    return {
      self: this.id,
      bootEpoch: this.bootEpoch,
      replicas: 3,
      get minCopies() {
        return copies.minCopies;
      },
      timings: { silenceMs: 500, electionStaggerMs: 200, formationTimeoutMs: 1000 },
      limits: copies.limits,
      store: this.store,
      marks: {
        get: (shard) => this.marks.get(shard),
        set: (shard, mark) => this.marks.set(shard, mark),
      },
      damage: options.damage ?? null,
      acceptLoss: options.acceptLoss ?? false,
      nowMs: () => copies.nowMs,
      random: () => 0.5,
      send: (to, _shard, m) => {
        this.sent.push({ to, m });
        copies.send(this.id, to, m);
      },
      batch: {
        put: (key, value) => this.#puts.push({ key, value }),
        onDurable: (fn) => this.#waiting.push(fn),
      },
      dirty: () => void this.dirtied++,
      heard: (id) => copies.heard(this.id, id),
      ended: (number) => copies.ended(number),
      justBooted: () => this.justBooted,
      full: (to) => this.full.has(to),
      mayTransfer: () => this.mayTransfer,
      mayLearn: () => this.mayLearn,
      onSlow: (_shard, id) => this.slow.push(id),
      targets: () => copies.targets,
      voters: () => copies.voters,
      removable: () => (copies.settled ? 'yes' : 'no'),
      mayHandover: () => copies.settled,
      onElection: () => {},
      onEstablished: (_shard, again) => {
        this.established.push(again);
        copies.announce(this.id);
      },
      onDeposed: () => {},
      onCommitted: () => {},
      trace: (phase, fields) => this.traces.push([phase, fields]),
      report: (_shard, what, why) => this.complaints.push([what, why]),
    };
  }
}

export class Copies {
  nowMs = 10_000;
  readonly machines = new Map<CopyId, Machine>();
  /** Where placement wants the copies. */
  targets: readonly CopyId[] = IDS;
  voters: readonly CopyId[] = IDS;
  minCopies = 2;
  limits = { checkpointEvery: 1e9, tailKeep: 1000 };
  /** Planned changes are made: copies move, leaders hand over to the preferred copy. */
  settled = false;
  watcher: Watcher | null = null;
  /** Links that lose what is sent by them. */
  loses: (from: CopyId, to: CopyId) => boolean = () => false;
  ended: (number: ViewNumber) => boolean = () => false;
  #queue: (() => void)[] = [];

  constructor(ids: readonly CopyId[] = IDS) {
    for (const id of ids) this.machines.set(id, new Machine(this, id));
  }

  at(id: CopyId): Machine {
    return this.machines.get(id)!;
  }

  send(from: CopyId, to: CopyId, m: ShardMessage): void {
    const arrive = (): void => {
      const machine = this.machines.get(to);
      if (machine?.up && machine.paused) return void machine.unread.push(arrive);
      const arrives = this.#runs(from) && machine?.up === true && !this.loses(from, to);
      this.watcher?.onMessage(from, to, m, !arrives);
      if (!machine || !arrives) return;
      machine.copy.onMessage(from, m);
      this.watcher?.onStep(machine);
    };
    this.#queue.push(arrive);
  }

  /** The others hear of the view that this copy leads. */
  announce(id: CopyId): void {
    const { number } = this.at(id).copy.view;
    for (const { copy, id: other } of this.machines.values())
      if (this.heard(id, other) && this.heard(other, id)) copy.onViewKnown(number);
  }

  /** A process that stood still goes on: first with what it was at, then with what was sent to it. */
  wake(id: CopyId): void {
    const machine = this.at(id);
    machine.paused = false;
    machine.turn();
    this.watcher?.onStep(machine);
    this.#queue.push(...machine.unread.splice(0));
    this.deliver();
  }

  #runs(id: CopyId): boolean {
    const machine = this.machines.get(id);
    return machine?.up === true && !machine.paused;
  }

  heard(by: CopyId, id: CopyId): boolean {
    return by === id || (this.#runs(id) && !this.loses(id, by));
  }

  /** Messages under way arrive, and what follows from them. */
  deliver(): void {
    for (let fn = this.#queue.shift(); fn; fn = this.#queue.shift()) fn();
  }

  /** Lets so much virtual time go by, or until `until` is true; whether it became so. */
  run(ms: number, until: () => boolean = () => false): boolean {
    for (const end = this.nowMs + ms; this.nowMs < end; ) {
      if (until()) return true;
      this.nowMs += 20;
      for (const machine of this.machines.values()) {
        if (!this.#runs(machine.id)) continue;
        machine.turn();
        this.watcher?.onStep(machine);
        this.deliver();
        machine.copy.tick(this.nowMs);
        machine.turn();
        this.watcher?.onStep(machine);
      }
    }
    return until();
  }

  /** The copy that leads and commits all it has. */
  get leader(): Machine | undefined {
    return [...this.machines.values()].find(
      ({ up, copy }) => up && copy.role === 'leader' && copy.commit === copy.log.end,
    );
  }

  kill(id: CopyId): void {
    this.at(id).up = false;
  }

  /** A process comes back: reads its disk, and its links come up. */
  restart(id: CopyId, options: CopyOptions = {}): Corruption | null {
    const corruption = this.at(id).restart(options);
    this.link(id);
    return corruption;
  }

  /** All links of this machine are new. */
  link(id: CopyId): void {
    for (const other of this.machines.values()) {
      if (other.id === id || !other.up) continue;
      other.copy.onLinkUp(id);
      this.at(id).copy.onLinkUp(other.id);
      if (other.copy.role === 'leader') this.announce(other.id);
    }
  }

  /** Its members have recorded `view`, and its active copies hold `entries` committed entries of it. */
  begin(view: View, entries: number): void {
    for (const machine of this.machines.values()) {
      if (view.voters.includes(machine.id)) {
        machine.record({ promised: view.number, view });
        if (view.active.includes(machine.id)) machine.hold(entries, view.number);
      }
      machine.restart();
    }
  }

  propose(machine: Machine, text: string): void {
    machine.copy.appending.propose(this.nowMs, (w) => w.raw(Buffer.from(text)), undefined);
  }
}

export function entryOf(index: number, number: ViewNumber, text = `e${index}`): Uint8Array {
  return encodeEntry(index, number, index, (w: Writer) => w.raw(Buffer.from(text))).bytes;
}
