/** The users, roles and bans of a cluster, as a node knows them. */
import { Permissions } from './permissions.ts';
import {
  type Ban,
  banKey,
  RECORDS,
  type RecordKind,
  type RecordOf,
  ROLE_ALL,
  ROLE_ANONYMOUS,
  type Role,
  type Rule,
  type User,
} from './records.ts';

/** Whom permissions are for; `user` is '' for a client without a name. */
export interface Who {
  readonly clientId: string;
  readonly user: string;
}

const EVERYTHING: readonly Rule[] = ROLE_ALL.rules;

export class Directory {
  readonly #users = new Map<string, User>();
  readonly #roles = new Map<string, Role>();
  readonly #bans = new Map<string, Ban>();
  /** Rises with every change: what was decided before may be wrong. */
  version = 0;

  get users(): ReadonlyMap<string, User> {
    return this.#users;
  }

  get roles(): ReadonlyMap<string, Role> {
    return this.#roles;
  }

  get bans(): ReadonlyMap<string, Ban> {
    return this.#bans;
  }

  /**
   * Takes a record over, or forgets it.
   *
   * @param value what its JSON says; undefined: it is deleted
   * @returns what is wrong with it; undefined if it is taken
   */
  apply(kind: RecordKind, key: string, value: unknown): string | undefined {
    const records = this.#recordsOf(kind);
    if (value === undefined) {
      if (records.delete(key)) this.version++;
      return undefined;
    }
    const parsed = RECORDS[kind].safeParse(value);
    if (!parsed.success) return parsed.error.issues[0]?.message ?? 'not valid';
    records.set(key, parsed.data);
    this.version++;
    return undefined;
  }

  /** Keys of a kind, in no order. */
  keys(kind: RecordKind): Iterable<string> {
    return this.#recordsOf(kind).keys();
  }

  #recordsOf(kind: RecordKind): Map<string, RecordOf<RecordKind>> {
    const all = { user: this.#users, role: this.#roles, ban: this.#bans };
    return all[kind] as Map<string, RecordOf<RecordKind>>;
  }

  /** The ban that keeps a client out, if any. @param address without its port */
  banOn(who: Who, address: string, wallMs: number): Ban | undefined {
    if (this.#bans.size === 0) return undefined;
    const of = (kind: Ban['kind'], value: string) => this.#bans.get(banKey({ kind, value }));
    const found = [of('client', who.clientId), of('user', who.user), of('address', address)];
    return found.find((ban) => ban !== undefined && (ban.untilMs === 0 || ban.untilMs > wallMs));
  }

  /** Own rules, then those of its roles in their order. A role that does not exist allows nothing. */
  permissions(who: Who): Permissions {
    return new Permissions(this.#rulesOf(who.user), who);
  }

  #rulesOf(user: string): readonly Rule[] {
    if (user === '') return this.#roles.get(ROLE_ANONYMOUS)?.rules ?? EVERYTHING;
    const record = this.#users.get(user);
    if (!record) return [];
    return [...record.rules, ...record.roles.flatMap((name) => this.roleOf(name)?.rules ?? [])];
  }

  roleOf(name: string): Role | undefined {
    return this.#roles.get(name) ?? (name === ROLE_ALL.name ? ROLE_ALL : undefined);
  }
}
