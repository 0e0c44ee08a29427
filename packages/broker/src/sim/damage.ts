import type { Prng } from '@shoal/swim/sim';
import type { World } from './checkers/checker.ts';
import type { SimDisk } from './disk.ts';
import type { FaultName } from './faults.ts';
import type { SimProcess } from './process.ts';

/** The machines, as damage reaches them. */
interface DamageHost {
  names(): readonly string[];
  process(name: string): SimProcess | undefined;
  disk(name: string): SimDisk | undefined;
  inspections(): ReturnType<World['inspections']>;
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
 * off the nodes while all of them run.
 */
export class Damage {
  /** The machine that was damaged. */
  victim: string | undefined;
  private readonly host: DamageHost;
  private readonly random: Prng;
  private backup: { name: string; records: ReturnType<SimDisk['copy']> } | undefined;

  constructor(host: DamageHost, random: Prng) {
    this.host = host;
    this.random = random;
  }

  /** @returns what was done, '' for nothing */
  strike(fault: FaultName, node: string): string {
    if (this.victim !== undefined) return '';
    if (fault === 'oldFolder' && this.backup === undefined) {
      const disk = this.host.disk(node);
      if (disk !== undefined) this.backup = { name: node, records: disk.copy() };
      return '';
    }
    const name = fault === 'oldFolder' ? this.backup!.name : node;
    const disk = this.host.disk(name);
    if (disk === undefined || !this.othersHold(name)) return '';
    this.victim = name;
    this.host.kill(name, { power: fault === 'memoryCut', silent: this.random.chance(0.2) });
    switch (fault) {
      case 'loseDisk':
        this.host.replaceDisk(name);
        return `${name} loses its folder`;
      case 'oldFolder':
        disk.become(this.backup!.records);
        return `${name} gets an older copy of its folder`;
      case 'tornLog': {
        const whole = this.random.chance(0.5);
        const lost = disk.tear(this.random.int(1, TORN_MAX), whole);
        return `${name} loses ${lost} synced batches${whole ? '' : ', not the newest'}`;
      }
      case 'bitRot':
        for (let i = this.random.int(1, 3); i > 0; i--) disk.rot((key) => key[0] === SHARD_RECORD);
        return `${name} rots`;
      default:
        return `${name} loses power under memory`;
    }
  }

  /** Every node runs, and every shard that `name` holds is led and has another active copy. */
  private othersHold(name: string): boolean {
    const names = this.host.names();
    const inspections = this.host.inspections();
    if (inspections.length < names.length || names.length < 3) return false;
    const led = new Map<number, { view: number; safe: boolean }>();
    let shards = 0;
    for (const { inspection } of inspections) {
      for (const copy of inspection.shards) {
        shards = Math.max(shards, copy.shard + 1);
        if (copy.role !== 'leader' || (led.get(copy.shard)?.view ?? -1) > copy.view) continue;
        const safe = copy.active.some((other) => other !== name && names.includes(other));
        led.set(copy.shard, { view: copy.view, safe });
      }
    }
    return shards > 0 && led.size === shards && [...led.values()].every(({ safe }) => safe);
  }
}
