/** What the admin API does with users, roles and bans, and the shapes of its answers. */
import type { Directory } from '../../access/directory.ts';
import { type Gate, PASSWORD_BYTES_MAX } from '../../access/gate.ts';
import {
  type ACTIONS,
  type Ban,
  banKey,
  type RecordKind,
  ROLE_ALL,
  type Role,
  type Rule,
  type User,
} from '../../access/records.ts';
import { BrokerError } from '../../errors.ts';
import type { AccessRecords } from '../../node/client/access-records.ts';
import { hashPassword } from '../access/passwords.ts';

/** A user as it is shown: never with its hash. */
export interface UserReport {
  readonly name: string;
  readonly enabled: boolean;
  /** Whether it has a password. */
  readonly password: boolean;
  readonly roles: readonly string[];
  readonly rules: readonly Rule[];
}

/** What is to be changed of a user; what is absent stays, or has its default in a new one. */
export interface UserChange {
  readonly password?: string | undefined;
  readonly enabled?: boolean | undefined;
  readonly roles?: readonly string[] | undefined;
  readonly rules?: readonly Rule[] | undefined;
}

export interface AccessQuestion {
  readonly user: string;
  readonly clientId: string;
  readonly action: Exclude<(typeof ACTIONS)[number], 'all'>;
  /** Topic Name; of a subscription its Topic Filter. */
  readonly topic: string;
  readonly qos: number;
  readonly retain: boolean;
}

export interface AccessAnswer {
  readonly allowed: boolean;
  /** The rule that decided; null: none applies, and what no rule allows is denied. */
  readonly rule: Rule | null;
}

/** What of a node this needs. */
interface AccessHost {
  readonly gate: Gate | undefined;
  readonly clients: { readonly access: Pick<AccessRecords, 'change'> | null };
}

export class AccessBackend {
  readonly #core: AccessHost;

  constructor(core: AccessHost) {
    this.#core = core;
  }

  get #directory(): Directory {
    const { gate } = this.#core;
    if (!gate?.loaded)
      throw new BrokerError('BROKER_ERR_NOT_READY', 'users are not known yet: try again');
    return gate.directory;
  }

  users(): UserReport[] {
    return [...this.#directory.users.values()].map(reportOf).sort(byName);
  }

  roles(): Role[] {
    const { roles } = this.#directory;
    return [...(roles.has(ROLE_ALL.name) ? [] : [ROLE_ALL]), ...roles.values()].sort(byName);
  }

  bans(): Ban[] {
    return [...this.#directory.bans.values()].sort((a, b) => (banKey(a) < banKey(b) ? -1 : 1));
  }

  /** @throws BROKER_ERR_REQUEST_INVALID, BROKER_ERR_USER_UNKNOWN if it is to exist and does not, or the reverse */
  async setUser(name: string, change: UserChange, isNew: boolean): Promise<UserReport> {
    const old = this.#directory.users.get(name);
    if (isNew && old) throw new BrokerError('BROKER_ERR_ACCESS_EXISTS', `user ${name}`);
    if (!isNew && !old) throw new BrokerError('BROKER_ERR_ACCESS_UNKNOWN', `user ${name}`);
    const { password, enabled, roles, rules } = change;
    for (const role of roles ?? [])
      if (!this.#directory.roleOf(role))
        throw new BrokerError('BROKER_ERR_ACCESS_UNKNOWN', `role ${role}`);
    const user: User = {
      name,
      enabled: enabled ?? old?.enabled ?? true,
      roles: [...(roles ?? old?.roles ?? [])],
      rules: [...(rules ?? old?.rules ?? [])],
      ...(await passwordOf(password, old)),
    };
    await this.#change('user', name, user);
    return reportOf(user);
  }

  /** @throws BROKER_ERR_ACCESS_UNKNOWN */
  async deleteUser(name: string): Promise<void> {
    if (!this.#directory.users.has(name))
      throw new BrokerError('BROKER_ERR_ACCESS_UNKNOWN', `user ${name}`);
    await this.#change('user', name, null);
  }

  async setRole(name: string, rules: readonly Rule[]): Promise<Role> {
    const role: Role = { name, rules: [...rules] };
    await this.#change('role', name, role);
    return role;
  }

  /** @throws BROKER_ERR_ACCESS_UNKNOWN */
  async deleteRole(name: string): Promise<void> {
    if (!this.#directory.roles.has(name))
      throw new BrokerError('BROKER_ERR_ACCESS_UNKNOWN', `role ${name}`);
    await this.#change('role', name, null);
  }

  async setBan(ban: Ban): Promise<Ban> {
    await this.#change('ban', banKey(ban), ban);
    return ban;
  }

  /** @throws BROKER_ERR_ACCESS_UNKNOWN */
  async deleteBan(ban: Pick<Ban, 'kind' | 'value'>): Promise<void> {
    const key = banKey(ban);
    if (!this.#directory.bans.has(key))
      throw new BrokerError('BROKER_ERR_ACCESS_UNKNOWN', `ban ${key}`);
    await this.#change('ban', key, null);
  }

  /** @throws BROKER_ERR_ACCESS_UNKNOWN */
  test({ user, clientId, action, topic, qos, retain }: AccessQuestion): AccessAnswer {
    const directory = this.#directory;
    if (user !== '' && !directory.users.has(user))
      throw new BrokerError('BROKER_ERR_ACCESS_UNKNOWN', `user ${user}`);
    const permissions = directory.permissions({ user, clientId });
    const rule = permissions.decides(action, topic, qos, retain) ?? null;
    return { allowed: rule?.allow ?? false, rule };
  }

  #change(kind: RecordKind, key: string, record: object | null): Promise<void> {
    void this.#directory;
    return new Promise((resolve, reject) => {
      this.#core.clients.access!.change(kind, key, record, (problem) => {
        if (problem === undefined) resolve();
        else reject(new BrokerError('BROKER_ERR_REQUEST_INVALID', `${kind} ${key}: ${problem}`));
      });
    });
  }
}

async function passwordOf(
  password: string | undefined,
  old: User | undefined,
): Promise<Pick<User, 'password'>> {
  if (password === undefined) return old?.password === undefined ? {} : { password: old.password };
  const bytes = Buffer.byteLength(password);
  if (bytes === 0 || bytes > PASSWORD_BYTES_MAX)
    throw new BrokerError(
      'BROKER_ERR_REQUEST_INVALID',
      `password must have 1 to ${PASSWORD_BYTES_MAX} bytes`,
    );
  return { password: await hashPassword(password) };
}

function reportOf({ name, enabled, password, roles, rules }: User): UserReport {
  return { name, enabled, password: password !== undefined, roles, rules };
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}
