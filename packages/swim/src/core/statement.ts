import { fnv1a, fnvStep } from './fnv.ts';
import type { SwimMember, Update, VersionRange } from './message.ts';

/** What is believed of a member. Never changed, so that many tables can hold the same one. */
export interface Statement extends SwimMember {
  readonly versions: VersionRange;
  /** Of a left one: the member where an operator removed it; '' if it said so itself. */
  readonly removedBy: string;
  /** Of a suspect or a faulty one: its host refuses connections. */
  readonly refused: boolean;
  /** Of name, boot epoch and incarnation: what digests sum. */
  readonly hash: number;
}

/** Statements kept of one name, so that equal ones are one object. */
const VARIANTS_MAX = 8;

/**
 * Numbers for names, and one object for equal statements.
 *
 * A process of its own has its own table, whose numbers are used again. A simulator lets thousands of
 * member lists share one: then 10^8 entries are 10^8 references to a few statements.
 */
export class StatementTable {
  readonly #shared: boolean;
  readonly #ids = new Map<string, number>();
  readonly #variants: Statement[][] = [];
  readonly #free: number[] = [];

  constructor(options: { readonly shared: boolean } = { shared: false }) {
    this.#shared = options.shared;
  }

  /** The number of a name; undefined if it is not claimed. */
  idOf(name: string): number | undefined {
    return this.#ids.get(name);
  }

  /** The number of a name, given now if it has none: the smallest ones first. */
  claim(name: string): number {
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    const id = this.#free.pop() ?? this.#variants.length;
    this.#ids.set(name, id);
    this.#variants[id] = [];
    return id;
  }

  /** Gives the number of a name back. */
  release(name: string): void {
    const id = this.#ids.get(name);
    if (this.#shared || id === undefined) return;
    this.#ids.delete(name);
    this.#variants[id] = [];
    this.#free.push(id);
  }

  /** The one object for what an update says. */
  intern(update: Omit<Update, 'ageS' | 'accuser'>, removedBy: string): Statement {
    const known = this.#variants[this.claim(update.name)] as Statement[];
    for (const statement of known) if (says(statement, update, removedBy)) return statement;
    const { name, bootEpoch, incarnation, state, address, meta, unwell, versions } = update;
    const refused = isRefused(update);
    const hash = hashOf(name, bootEpoch, incarnation);
    const statement = Object.freeze({
      name,
      bootEpoch,
      incarnation,
      state,
      address,
      meta,
      unwell,
      versions,
      removedBy,
      refused,
      hash,
    });
    if (!this.#shared) return statement;
    if (known.length >= VARIANTS_MAX) known.shift();
    known.push(statement);
    return statement;
  }
}

function says(known: Statement, update: Omit<Update, 'ageS' | 'accuser'>, removedBy: string) {
  return (
    known.bootEpoch === update.bootEpoch &&
    known.incarnation === update.incarnation &&
    known.state === update.state &&
    known.address === update.address &&
    known.unwell === update.unwell &&
    known.removedBy === removedBy &&
    known.refused === isRefused(update) &&
    known.versions.min === update.versions.min &&
    known.versions.max === update.versions.max &&
    sameBytes(known.meta, update.meta)
  );
}

function isRefused({ state, refused = false }: Pick<Update, 'state' | 'refused'>): boolean {
  return refused && (state === 'suspect' || state === 'faulty');
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let at = 0; at < left.length; at++) if (left[at] !== right[at]) return false;
  return true;
}

/** FNV-1a, with MurmurHash3's final mix. */
export function hashOf(name: string, bootEpoch: number, incarnation: number): number {
  let hash = fnv1a(name);
  for (const part of [bootEpoch >>> 0, Math.floor(bootEpoch / 0x1_0000_0000), incarnation]) {
    hash = fnvStep(hash, part);
    hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
  }
  return (hash ^ (hash >>> 13)) >>> 0;
}
