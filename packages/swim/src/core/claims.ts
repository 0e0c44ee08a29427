import type { Context } from './context.ts';
import { comparePrecedence, isPresent } from './member-list.ts';
import type { Update } from './message.ts';
import type { Notices } from './notices.ts';
import type { Parts } from './parts.ts';
import type { Statement } from './statement.ts';

/** How long a claim to the name of a member counts. */
const CLAIM_KEEP_MS = 30_000;
/** Shortest time between two probes of a member because of claims to its name. */
const CLAIM_PROBE_MS = 1_000;

/** Statements of processes that claim the name of a present member, by name. */
export class Claims {
  readonly #context: Context;
  readonly #notices: Notices;
  readonly #claims = new Map<string, { readonly update: Update; readonly heardMs: number }>();

  constructor({ context, notices }: Parts) {
    this.#context = context;
    this.#notices = notices;
  }

  /** Names of present members that other processes want, too. */
  get size(): number {
    return this.#claims.size;
  }

  /**
   * Another process claims the name of a present member; another address is another process. It gets the
   * name once the member is found dead. Until then the member is probed; a pause does not cost it the
   * name.
   *
   * @returns whether to probe the member now
   */
  hear(record: Statement, update: Update): boolean {
    const { nowMs, counters } = this.#context;
    const known = this.#claims.get(record.name);
    const isNewer = known === undefined || comparePrecedence(update, known.update) >= 0;
    this.#claims.set(record.name, { update: isNewer ? update : known.update, heardMs: nowMs });
    if (known !== undefined && nowMs - known.heardMs < CLAIM_PROBE_MS) return false;
    counters.namesClaimed++;
    this.#notices.say('SWIM_ERR_NAME_CLAIMED', update.address);
    return true;
  }

  /** The name of a dead member is free. @returns the statement of a process that claimed it of late */
  grant(record: Statement): Update | undefined {
    const claim = this.#claims.get(record.name);
    if (claim === undefined || isPresent(record)) return undefined;
    this.#claims.delete(record.name);
    if (this.#context.nowMs - claim.heardMs > CLAIM_KEEP_MS) return undefined;
    return comparePrecedence(claim.update, record) > 0 ? claim.update : undefined;
  }

  /** Drops claims that were not repeated for long. */
  forget(): void {
    for (const [name, { heardMs }] of this.#claims) {
      if (this.#context.nowMs - heardMs > CLAIM_KEEP_MS) this.#claims.delete(name);
    }
  }
}
