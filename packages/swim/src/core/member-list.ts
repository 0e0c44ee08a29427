import type { Random } from '../ports.ts';
import { type MemberState, type SwimMember, stateRank, type Update } from './message.ts';
import { type Statement, StatementTable } from './statement.ts';
import type { SuspicionBounds } from './suspicion.ts';

/** Random draws for each peer wanted, before all are walked through. */
const DRAWS_PER_PICK = 8;

/** An open suspicion. */
export interface Suspicion {
  /** From when its bounds count. */
  startMs: number;
  /** When the member was first suspected. */
  readonly sinceMs: number;
  bounds: SuspicionBounds;
  readonly accusers: Set<string>;
  /** Another member's timeout ran out: the shortest applies, without further confirmations. */
  settled: boolean;
  /** What that other member says, to be believed when the time is up. */
  verdict: Update | undefined;
  /** When the time is up, as things are; a little before, the suspect is asked once more. */
  endMs: number;
  /** The suspect was asked, or need not be: enough others confirm. */
  asked: boolean;
  token: number;
}

/**
 * Order of two statements about one name: by boot epoch, then incarnation, then state.
 *
 * A total order, and each member keeps the highest it has seen: so all agree in the end, whatever
 * the order in which they hear. (The paper lets faulty override every incarnation; here an alive of
 * a higher one overrides it, or a healed split would need a human.)
 *
 * @returns < 0 if left is older, 0 if equal, > 0 if left is newer
 */
export function comparePrecedence(
  left: Pick<Update, 'bootEpoch' | 'incarnation' | 'state'>,
  right: Pick<Update, 'bootEpoch' | 'incarnation' | 'state'>,
): number {
  return (
    left.bootEpoch - right.bootEpoch ||
    left.incarnation - right.incarnation ||
    stateRank(left.state) - stateRank(right.state)
  );
}

/** Alive or suspect: to be probed, told and linked. */
export function isPresent(member: { readonly state: MemberState }): boolean {
  return member.state === 'alive' || member.state === 'suspect';
}

/**
 * Dead by the word of others: it may come back. So may members that an operator removed: two halves of a
 * split that removed each other must find each other again.
 */
function isLost({ state, removedBy }: Statement): boolean {
  return state === 'faulty' || removedBy !== '';
}

/**
 * Every member known, this one included; draws probe targets and helpers.
 *
 * Compact, so that one process can simulate thousands: statements by number in one array, the round as
 * numbers; the data of suspects and dead members apart.
 */
export class MemberList {
  readonly #table: StatementTable;
  readonly #random: Random;
  readonly #selfId: number;
  #slots: (Statement | undefined)[] = [];
  #count = 0;
  #present = 0;
  #sum = 0;
  /** Every number but the own, in the order of this round; those before `next` had their turn. */
  #order: Int32Array = new Int32Array(8);
  #ordered = 0;
  #next = 0;
  /** When the dead became so. */
  readonly #deadSinceMs = new Map<string, number>();
  readonly #suspicions = new Map<string, Suspicion>();
  #deadRound: string[] = [];
  #view: readonly SwimMember[] | undefined;

  constructor(self: Statement, random: Random, table: StatementTable = new StatementTable()) {
    this.#table = table;
    this.#random = random;
    this.#selfId = table.claim(self.name);
    this.put(self, 0);
  }

  get self(): Statement {
    return this.#slots[this.#selfId] as Statement;
  }

  get size(): number {
    return this.#count;
  }

  get(name: string): Statement | undefined {
    const id = this.#table.idOf(name);
    return id === undefined ? undefined : this.#slots[id];
  }

  /** All members, in arbitrary order. */
  *all(): IterableIterator<Statement> {
    for (const statement of this.#slots) if (statement !== undefined) yield statement;
  }

  /** Those that are faulty or have left. */
  *dead(): IterableIterator<Statement> {
    for (const name of this.#deadSinceMs.keys()) yield this.get(name) as Statement;
  }

  /** Sets the statement of a member, known or new. @param sinceMs since when it holds */
  put(statement: Statement, sinceMs: number): void {
    const id = this.#table.claim(statement.name);
    const old = this.#slots[id];
    if (old === undefined) this.#enter(id);
    else this.#uncount(old);
    while (this.#slots.length < id) this.#slots.push(undefined);
    this.#slots[id] = statement;
    if (isPresent(statement)) {
      this.#present++;
      this.#sum = (this.#sum + statement.hash) >>> 0;
      this.#deadSinceMs.delete(statement.name);
    } else this.#deadSinceMs.set(statement.name, sinceMs);
    this.#view = undefined;
  }

  /** The one object for what an update says. */
  intern(update: Omit<Update, 'ageS' | 'accuser'>, removedBy: string): Statement {
    return this.#table.intern(update, removedBy);
  }

  /** Forgets a member; never the own. */
  remove(name: string): void {
    const id = this.#table.idOf(name);
    const old = id === undefined ? undefined : this.#slots[id];
    if (id === undefined || old === undefined || id === this.#selfId) return;
    this.#uncount(old);
    this.#count--;
    this.#slots[id] = undefined;
    this.#deadSinceMs.delete(name);
    this.#suspicions.delete(name);
    this.#leaveRound(id);
    this.#table.release(name);
    this.#view = undefined;
  }

  /** Starts with the same members as another list, this one's own aside: cheaper than one by one. */
  adoptAll(other: MemberList): void {
    const { self } = this;
    this.#slots = other.#slots.slice();
    this.#slots[this.#selfId] = undefined;
    this.#count = 0;
    this.#present = 0;
    this.#sum = 0;
    for (const statement of this.#slots) {
      if (statement === undefined) continue;
      this.#count++;
      if (!isPresent(statement)) continue;
      this.#present++;
      this.#sum = (this.#sum + statement.hash) >>> 0;
    }
    this.#order = new Int32Array(this.#count + 8);
    this.#ordered = 0;
    this.#slots.forEach((statement, id) => {
      if (statement === undefined) return;
      this.#order[this.#ordered] = id;
      this.#ordered++;
    });
    for (const [name, sinceMs] of other.#deadSinceMs) this.#deadSinceMs.set(name, sinceMs);
    this.#slots[this.#selfId] = self;
    this.#count++;
    this.#present++;
    this.#sum = (this.#sum + self.hash) >>> 0;
    this.#next = this.#ordered;
    this.#view = undefined;
  }

  suspicionOf(name: string): Suspicion | undefined {
    return this.#suspicions.get(name);
  }

  /** Who is under suspicion. */
  suspected(): ReadonlyMap<string, Suspicion> {
    return this.#suspicions;
  }

  setSuspicion(name: string, suspicion: Suspicion | undefined): void {
    if (suspicion === undefined) this.#suspicions.delete(name);
    else this.#suspicions.set(name, suspicion);
  }

  /** When a member became faulty or left; 0 for others. */
  deadSince(name: string): number {
    return this.#deadSinceMs.get(name) ?? 0;
  }

  /** Present members beside this one. */
  peerCount(): number {
    return isPresent(this.self) ? this.#present - 1 : this.#present;
  }

  /** Members not dead, this one included: the n of every formula. */
  presentCount(): number {
    return this.peerCount() + 1;
  }

  /** Whether a present member other than this one has this address. */
  hasPeerAt(address: string): boolean {
    for (const statement of this.all()) {
      if (statement.address === address && this.#isPeer(statement)) return true;
    }
    return false;
  }

  /**
   * A hash of who is present in which boot epoch and incarnation, the same for equal sets.
   *
   * Not of states: suspect and alive come and go, and the dead are forgotten at different times.
   */
  digest(): number {
    return this.#sum;
  }

  /** All members, sorted by name. The array is shared and never changes. */
  members(): readonly SwimMember[] {
    this.#view ??= Object.freeze([...this.all()].sort((x, y) => (x.name < y.name ? -1 : 1)));
    return this.#view;
  }

  /** Next target of the shuffled round-robin (SWIM §4.3); undefined without peers. */
  nextTarget(): Statement | undefined {
    if (this.peerCount() === 0) return undefined;
    for (;;) {
      if (this.#next >= this.#ordered) {
        this.#next = 0;
        for (let last = this.#ordered - 1; last > 0; last--) {
          this.#swap(last, Math.floor(this.#random() * (last + 1)));
        }
      }
      const statement = this.#slots[this.#order[this.#next] as number];
      this.#next++;
      if (statement !== undefined && isPresent(statement)) return statement;
    }
  }

  /** Next lost member to try again, all in turn; undefined if there is none. */
  nextLost(): Statement | undefined {
    for (let refilled = false; ; ) {
      const name = this.#deadRound.pop();
      if (name === undefined) {
        if (refilled) return undefined;
        refilled = true;
        for (const statement of this.dead()) {
          if (isLost(statement)) this.#deadRound.push(statement.name);
        }
        shuffle(this.#deadRound, this.#random);
        continue;
      }
      const statement = this.get(name);
      if (statement !== undefined && isLost(statement)) return statement;
    }
  }

  /** Up to `count` different present peers at random, none named in `exclude`. */
  pickPeers(count: number, ...exclude: string[]): Statement[] {
    const wanted = Math.min(count, this.peerCount());
    const picked: Statement[] = [];
    const take = (statement: Statement | undefined): void => {
      if (statement === undefined || !isPresent(statement)) return;
      if (exclude.includes(statement.name) || picked.includes(statement)) return;
      picked.push(statement);
    };
    for (let tries = wanted * DRAWS_PER_PICK; tries > 0 && picked.length < wanted; tries--) {
      take(this.#slots[this.#order[Math.floor(this.#random() * this.#ordered)] as number]);
    }
    if (picked.length === wanted) return picked;
    // Few of the known members are present: look at all in turn, from a random one on.
    const start = Math.floor(this.#random() * this.#ordered);
    for (let step = 0; step < this.#ordered && picked.length < wanted; step++) {
      take(this.#slots[this.#order[(start + step) % this.#ordered] as number]);
    }
    return picked;
  }

  /** Like `pickPeers`, but draws from these other members, too. */
  pickPeersOr(count: number, others: readonly Statement[]): Statement[] {
    const picked = this.pickPeers(count);
    const share = others.length / Math.max(1, others.length + this.peerCount());
    if (share === 0) return picked;
    return picked.map((peer) =>
      this.#random() < share ? (others[Math.floor(this.#random() * others.length)] ?? peer) : peer,
    );
  }

  /** Faulty members that became so after sinceMs. */
  faultyAfter(sinceMs: number): Statement[] {
    if (this.#deadSinceMs.size === 0) return [];
    return [...this.dead()].filter(
      ({ name, state }) => state === 'faulty' && this.deadSince(name) > sinceMs,
    );
  }

  /** The member that has been dead for longest: the first to forget. */
  oldestDead(): Statement | undefined {
    let oldest: string | undefined;
    let oldestMs = Number.POSITIVE_INFINITY;
    for (const [name, sinceMs] of this.#deadSinceMs) {
      if (sinceMs >= oldestMs || name === this.self.name) continue;
      oldest = name;
      oldestMs = sinceMs;
    }
    return oldest === undefined ? undefined : this.get(oldest);
  }

  #isPeer(statement: Statement): boolean {
    return isPresent(statement) && statement.name !== this.self.name;
  }

  #uncount(old: Statement): void {
    if (!isPresent(old)) return;
    this.#present--;
    this.#sum = (this.#sum - old.hash) >>> 0;
  }

  /** SWIM §4.3: a newcomer enters the round at random, so that it waits for no more than one. */
  #enter(id: number): void {
    this.#count++;
    if (id === this.#selfId) return;
    if (this.#ordered === this.#order.length) {
      const grown = new Int32Array(this.#order.length * 2);
      grown.set(this.#order);
      this.#order = grown;
    }
    this.#order[this.#ordered] = id;
    this.#ordered++;
    const left = this.#ordered - this.#next;
    this.#swap(this.#ordered - 1, this.#next + Math.floor(this.#random() * left));
  }

  #leaveRound(id: number): void {
    const at = this.#order.subarray(0, this.#ordered).indexOf(id);
    // Those that had their turn stay before those that have not.
    if (at < this.#next) {
      this.#next--;
      this.#order[at] = this.#order[this.#next] as number;
      this.#order[this.#next] = this.#order[this.#ordered - 1] as number;
    } else this.#order[at] = this.#order[this.#ordered - 1] as number;
    this.#ordered--;
  }

  #swap(left: number, right: number): void {
    const kept = this.#order[left] as number;
    this.#order[left] = this.#order[right] as number;
    this.#order[right] = kept;
  }
}

function shuffle(names: string[], random: Random): void {
  for (let last = names.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    const kept = names[last] as string;
    names[last] = names[other] as string;
    names[other] = kept;
  }
}
