/**
 * Who a client is: checked before its session is opened.
 *
 * A password is verified elsewhere, by as many at a time as the machine bears; what waits for that is bounded,
 * in sum and for each address, so that guessing does not keep others out.
 */
import { ReasonCode } from '../mqtt/reason-code.ts';
import type { ClientCertificate, PasswordVerifier } from '../ports.ts';
import { Directory, type Who } from './directory.ts';
import type { Permissions } from './permissions.ts';
import { ROLE_ANONYMOUS } from './records.ts';

/** Passwords that wait to be verified; further clients are told that the server is busy. */
export const VERIFICATIONS_MAX = 20_000;
/** Of one address. */
export const VERIFICATIONS_OF_ADDRESS_MAX = 2000;
/** Bytes of a password; a longer one is wrong. */
export const PASSWORD_BYTES_MAX = 1024;

/** What a client says of itself. */
export interface Credentials {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
  /** IP address, without a port. */
  readonly address: string;
  readonly certificate: ClientCertificate | undefined;
}

export type Admission =
  | { readonly rights: Rights }
  | { readonly reasonCode: number; readonly why: string };

export interface GateOptions {
  /** Clients without a name of a user are not let in. */
  readonly required: boolean;
  readonly passwords: Pick<PasswordVerifier, 'verify'>;
  wallMs(): number;
}

/** A hash that no password fits: whether a user exists is not to be told by how long the answer takes. */
const NO_USER =
  '$argon2id$v=19$m=19456,t=2,p=1$c2hvYWwtbm8tc3VjaC11c2Vy$7T8Dq0xkSm6wW3v1Fq8hG0f2cQnJ5rYbLz4uKp9sXeA';

export class Gate {
  readonly directory = new Directory();
  /** The records of the cluster have been read once. */
  loaded = false;
  readonly #options: GateOptions;
  readonly #waitingOf = new Map<string, number>();
  #waiting = 0;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** Clients have to be users. */
  get required(): boolean {
    return this.#options.required;
  }

  /** Passwords that wait to be verified. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Nothing is checked: every client may do everything, whatever name it gives. */
  get open(): boolean {
    return !this.#options.required && this.directory.users.size === 0;
  }

  /** `done` once, perhaps at once. */
  admit(credentials: Credentials, done: (admission: Admission) => void): void {
    const { directory } = this;
    const { required } = this.#options;
    const { clientId, username, address } = credentials;
    if (required && !this.loaded)
      return done(refused(ReasonCode.ServerUnavailable, 'users are not known yet'));
    const who = { clientId, user: this.open ? '' : (username ?? '') };
    if (directory.banOn({ clientId, user: username ?? '' }, address, this.#options.wallMs()))
      return done(refused(ReasonCode.Banned, 'banned'));
    if (who.user !== '') return this.#check(credentials, who, done);
    if (!this.open && username !== undefined)
      return done(refused(ReasonCode.BadUserNameOrPassword, 'user name is empty'));
    if (required) return done(refused(ReasonCode.NotAuthorized, 'no user name is given'));
    done({ rights: new Rights(directory, who) });
  }

  #check(credentials: Credentials, who: Who, done: (admission: Admission) => void): void {
    const { directory } = this;
    const { address, password } = credentials;
    const wrong = refused(ReasonCode.BadUserNameOrPassword, 'user name or password is wrong');
    if (password === undefined || password.length > PASSWORD_BYTES_MAX) return done(wrong);
    const ofAddress = this.#waitingOf.get(address) ?? 0;
    if (this.#waiting >= VERIFICATIONS_MAX || ofAddress >= VERIFICATIONS_OF_ADDRESS_MAX)
      return done(refused(ReasonCode.ServerBusy, 'too many passwords wait to be checked'));
    this.#waiting++;
    this.#waitingOf.set(address, ofAddress + 1);
    const known = usable(directory, who);
    this.#options.passwords.verify(known ?? NO_USER, Uint8Array.from(password), (fits) => {
      this.#waiting--;
      const left = this.#waitingOf.get(address)! - 1;
      if (left > 0) this.#waitingOf.set(address, left);
      else this.#waitingOf.delete(address);
      // The user may have gone, or have another password, by now.
      const isWho = fits && known !== undefined && usable(directory, who) === known;
      done(isWho ? { rights: new Rights(directory, who, known) } : wrong);
    });
  }
}

function usable(directory: Directory, { user }: Who): string | undefined {
  const record = directory.users.get(user);
  return record?.enabled ? record.password : undefined;
}

function refused(reasonCode: number, why: string): Admission {
  return { reasonCode, why };
}

/** What one client may do, as the records of the cluster have it now. */
export class Rights {
  readonly #directory: Directory;
  readonly who: Who;
  /** The hash that its password fitted; a user who has another one now is asked for it. */
  readonly #hash: string | undefined;
  #version = -1;
  /** null: everything. */
  #permissions: Permissions | null = null;

  constructor(directory: Directory, who: Who, hash?: string) {
    this.#directory = directory;
    this.who = who;
    this.#hash = hash;
  }

  get #current(): Permissions | null {
    const directory = this.#directory;
    if (this.#version === directory.version) return this.#permissions;
    this.#version = directory.version;
    const { who } = this;
    const isFree = who.user === '' && !directory.roles.has(ROLE_ANONYMOUS);
    this.#permissions = isFree ? null : directory.permissions(who);
    return this.#permissions;
  }

  mayPublish(topic: string, qos: number, retain: boolean): boolean {
    return this.#current?.mayPublish(topic, qos, retain) ?? true;
  }

  maySubscribe(filter: string, qos: number): boolean {
    return this.#current?.maySubscribe(filter, qos) ?? true;
  }

  mayReceive(topic: string): boolean {
    return this.#current?.mayReceive(topic) ?? true;
  }

  /** Why the connection is to end: its user is gone, or somebody keeps it out. undefined: it may go on. */
  ended(address: string, wallMs: number): number | undefined {
    const directory = this.#directory;
    // Banned (0x8A) is for CONNACK alone.
    if (directory.banOn(this.who, address, wallMs)) return ReasonCode.AdministrativeAction;
    const { user } = this.who;
    if (user !== '' && usable(directory, this.who) !== this.#hash) return ReasonCode.NotAuthorized;
    return undefined;
  }
}
