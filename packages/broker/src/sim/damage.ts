import type { Prng } from '@shoal/swim/sim';
import type { World } from './checkers/checker.ts';
import type { CoreInspection, ShardInspection } from './core-port.ts';
import type { SimDisk } from './disk.ts';
import type { FaultName } from './faults.ts';
import type { SimFolder } from './folder.ts';
import type { SimProcess } from './process.ts';

/** The machines, as damage reaches them. */
interface DamageHost {
  names(): readonly string[];
  process(name: string): SimProcess | undefined;
  folder(name: string): SimFolder | undefined;
  inspections(): ReturnType<World['inspections']>;
  /** What the machine's process knows, or knew when it ended or was paused; undefined before it has booted. */
  lastInspection(name: string): CoreInspection | undefined;
  kill(name: string, o: { power: boolean; silent: boolean }): void;
  /** The machine gets an empty disk, and its next process joins. */
  replaceDisk(name: string): void;
}

/** Batches that a torn log loses at most. */
const TORN_MAX = 60;
/** First byte of the keys of shards' records: shard/keys.ts. */
const SHARD_RECORD = 2;

/**
 * What takes from one machine something that its copies have acknowledged: a lost disk, a folder
 * restored from an older copy, a log that lost its end, rotten bits, power lost under `memory`.
 *
 * The broker promises that nothing is lost while an active copy of each shard is whole. So it strikes
 * one machine in a run, and only when every shard has another active copy, which the simulator reads
 * off the nodes.
 */
export class Damage {
  /** The machine that was damaged. */
  victim: string | undefined;
  readonly #host: DamageHost;
  readonly #random: Prng;
  #backup: { name: string; run: number; records: ReturnType<SimDisk['copy']> } | undefined;

  constructor(host: DamageHost, random: Prng) {
    this.#host = host;
    this.#random = random;
  }

  /** @returns what was done, '' for nothing */
  strike(fault: FaultName, node: string): string {
    if (this.victim !== undefined) return '';
    if (fault === 'oldFolder' && this.#backup === undefined) {
      const folder = this.#host.folder(node);
      if (folder !== undefined) {
        this.#backup = { name: node, run: folder.lastRun, records: folder.disk.copy() };
      }
      return '';
    }
    const name = fault === 'oldFolder' ? this.#backup!.name : node;
    const folder = this.#host.folder(name);
    if (folder === undefined || !this.#othersHold(name)) return '';
    // A copy from within the last run looks like a crash of that run: ADR 0017 says what that costs.
    if (fault === 'oldFolder' && folder.lastRun === this.#backup!.run) return '';
    const { disk } = folder;
    this.victim = name;
    this.#host.kill(name, { power: fault === 'memoryCut', silent: this.#random.chance(0.2) });
    switch (fault) {
      case 'loseDisk':
        this.#host.replaceDisk(name);
        return `${name} loses its folder`;
      case 'oldFolder':
        disk.become(this.#backup!.records);
        return `${name} gets an older copy of its store`;
      case 'tornLog': {
        const whole = this.#random.chance(0.5);
        // Reading the log before the store is opened finds it; opening the store hides it.
        folder.logDamage = 'a record of the log is damaged';
        const lost = disk.tear(this.#random.int(1, TORN_MAX), whole);
        return `${name} loses ${lost} synced batches${whole ? '' : ', not the newest'}`;
      }
      case 'bitRot':
        for (let i = this.#random.int(1, 3); i > 0; i--) disk.rot((key) => key[0] === SHARD_RECORD);
        return `${name} rots`;
      default:
        return `${name} loses power under memory`;
    }
  }

  /**
   * Every shard of which `name` counts as an active copy is led under a view that is no older than what
   * `name` has recorded, and has another active copy. (A newer view that it has not recorded does not
   * have it as an active copy.) And no recorded view needs its vote.
   */
  #othersHold(name: string): boolean {
    if (this.#host.names().length < 3) return false;
    const inspections = this.#host.inspections();
    const own = inspections.find(({ node }) => node === name)?.inspection.shards ?? [];
    if (own.length === 0) return false;
    const led = new Map<number, ShardInspection>();
    for (const { inspection } of inspections) {
      for (const copy of inspection.shards) {
        if (copy.role !== 'leader' || (led.get(copy.shard)?.view ?? -1) > copy.view) continue;
        led.set(copy.shard, copy);
      }
    }
    // What is down or paused remembers too, and comes back with it.
    const every = this.#host.names().map((machine) => this.#host.lastInspection(machine));
    if (every.includes(undefined)) return false;
    const all = every.flatMap((inspection) => inspection?.shards ?? []);
    if (!all.every((copy) => votersStay(copy, name) || this.#isWithdrawn(copy, name))) return false;
    // Where two vote, the vote of any machine may be needed by a view that is just forming.
    if (all.some(({ voters = [] }) => voters.length === 2)) return false;
    // Where one votes, a view that this machine forms may have left it, and no other machine can take it back.
    if (own.some(({ voters = [], role }) => voters.length === 1 && role !== 'follower'))
      return false;
    return own.every((copy) => {
      if (copy.role === 'follower' && !copy.active.includes(name) && !votes(copy, name))
        return true;
      const leader = led.get(copy.shard);
      if (leader === undefined || leader.view < copy.view) return false;
      return leader.active.some((other) => other !== name);
    });
  }

  /**
   * A view that gives this machine the only vote, and whose leader is down: with the old voter it takes the
   * view back. One that runs may just be making the vote final.
   */
  #isWithdrawn({ voters = [], oldVoters = [], leader }: ShardInspection, name: string): boolean {
    const moves = voters.length === 1 && oldVoters.length === 1 && !oldVoters.includes(name);
    return moves && leader !== name && this.#host.process(leader) === undefined;
  }
}

function votes({ voters = [], oldVoters = [] }: ShardInspection, name: string): boolean {
  return voters.includes(name) || oldVoters.includes(name);
}

/** Without this node there is still a majority of the voters. */
function votersStay({ voters = [], oldVoters = [] }: ShardInspection, name: string): boolean {
  return [voters, oldVoters].every((set) => !set.includes(name) || set.length > 2);
}
