import type { Socket } from 'node:net';
import { completeConfig, type SwimConfig, type SwimConfigInput } from '../config.ts';
import { isWellFormed } from '../core/bytes.ts';
import type { HostOf, StableView, ViewChange } from '../core/cut-detector.ts';
import type { Refusal } from '../core/event.ts';
import type { UserEvent } from '../core/event-codec.ts';
import type { SwimMember } from '../core/message.ts';
import type { Discovery } from '../discovery/discovery.ts';
import { SwimError, type SwimErrorCode } from '../errors.ts';
import type { SwimLog } from '../ports.ts';
import type { TransportOpener } from '../transport.ts';
import type { MemberCallbacks } from './member-events.ts';
import type { Encryption } from './secure-transport.ts';

/** What a `SwimAgent` is started with. */
export interface SwimAgentOptions extends MemberCallbacks {
  /** Made by `swimConfig`, or settings for it; default those of the preset `lan`. */
  readonly config?: SwimConfigInput | undefined;
  /** One running process per name; 1 to 128 bytes. */
  readonly name: string;
  /**
   * A safe integer ≥ 0; higher at every start than ever before, and on disk already. May be left out
   * where there is a `stateFile`.
   */
  readonly bootEpoch?: number | undefined;
  /**
   * A file in which the boot epoch is kept: each start takes a higher one, `bootEpoch` or the time in
   * milliseconds if that is higher.
   */
  readonly stateFile?: string | undefined;
  /**
   * The cluster knows a later life of this member, so its clock or its disk went back: this boot epoch
   * comes after it. Keep it for the next start; it is used once this resolves. If it rejects, it is called
   * again after a second.
   */
  onBootEpoch?(bootEpoch: number): Promise<void> | void;
  /** At most 64 bytes; empty for a joiner, which learns it. */
  readonly clusterId?: string | undefined;
  /** host:port for UDP and TCP; port 0 for any that is free. */
  readonly listen: string;
  /** host:port at which peers reach us; default what was bound. Port 0 means the bound one. */
  readonly advertise?: string;
  /** At most 512 bytes; default none. */
  readonly meta?: Uint8Array | undefined;
  /** host:port of nodes to join through; the own address is ignored. */
  readonly seeds?: readonly string[];
  /**
   * Keys of 32 bytes that all members share, the one to seal with first. Without any, everything is
   * in clear, and on loopback only.
   */
  readonly keyring?: readonly Uint8Array[];
  /** What to do with messages in clear where there is a keyring; default `required`. */
  readonly encryption?: Encryption;
  /** Runs in clear on any address: for networks that only members can reach. */
  readonly insecure?: boolean;
  /**
   * The keyring changed: keep it for the next start, the primary first. Used once this resolves; if
   * it rejects, nothing changes.
   */
  onKeyring?(keys: readonly Uint8Array[]): Promise<void> | void;
  /**
   * Further ways to find such nodes, tried at the start and again and again, as `parseDiscovery`
   * takes them.
   */
  readonly discovery?: readonly string[];
  /** The same, of your own making. */
  readonly discoveries?: readonly Discovery[];
  /** The whole list, after the start and after every change. */
  onMembers?(members: readonly SwimMember[]): void;
  /** After the start and after every change of the stable view; after `onMembers`. */
  onView?(view: StableView, change: ViewChange): void;
  /**
   * The host of a present member refuses connections: most likely its process has ended. A hint: count
   * it as silence, never as a death, since the member may be about to restart. The verdict comes by
   * `onMembers`, after the shortest suspicion. May come again while connections are refused.
   */
  onRefused?(refusal: Refusal): void;
  /** What a member tells all, the own events included; each comes once. */
  onEvent?(event: UserEvent): void;
  /** What counts as one host where the stable view is formed; default: each member is one. */
  readonly hostOf?: HostOf;
  /** A joiner learned its cluster; called at most once. */
  onClusterId?(clusterId: string): void;
  /** Opens what packets and requests go over; default UDP and TCP on one port. */
  readonly transport?: TransportOpener;
  /**
   * A connection to the TCP port that does not begin with SWIM's first byte, with what was read of
   * it; paused. Attach listeners, `error` above all, before returning. Default: closed.
   */
  onForeignStream?(socket: Socket, head: Buffer): void;
  /** Something is wrong that only an operator can mend: another cluster, a name used twice. */
  onNotice?(code: SwimErrorCode, address: string): void;
  readonly log?: SwimLog;
}

/** Options with every default that does not depend on others. */
export type CompleteOptions<Options extends Given> = Options & {
  readonly config: SwimConfig;
  readonly clusterId: string;
  readonly meta: Uint8Array;
};

/** Of an agent, or of one in a thread, whose options are its own. */
type Given = Partial<SwimAgentOptions> & Pick<SwimAgentOptions, 'name' | 'listen'>;

/**
 * Refuses values of a wrong type, which callers without a type checker may give, and fills in defaults.
 *
 * @throws SwimError SWIM_ERR_CONFIG, SWIM_ERR_KEY_INVALID
 */
export function completeOptions<Options extends Given>(options: Options): CompleteOptions<Options> {
  need('options', 'an object', isObject(options));
  const { clusterId = '', meta = new Uint8Array(), bootEpoch, stateFile } = options;
  need('name', 'a text', isText(options.name));
  need('clusterId', 'a text', isText(clusterId));
  need('listen', 'a text', isText(options.listen));
  const { advertise = '', seeds = [], discovery = [], discoveries = [], keyring = [] } = options;
  need('advertise', 'a text', isText(advertise));
  need('stateFile', 'a text', stateFile === undefined || isText(stateFile));
  // Checked before a state file keeps it.
  const isEpoch = Number.isSafeInteger(bootEpoch) && (bootEpoch as number) >= 0;
  const isLeftOut = bootEpoch === undefined && stateFile !== undefined;
  need('bootEpoch', 'a safe integer of 0 or more', isEpoch || isLeftOut);
  need('meta', 'bytes', meta instanceof Uint8Array);
  need('seeds', 'a list of texts', isTexts(seeds));
  need('discovery', 'a list of texts', isTexts(discovery));
  need('discoveries', 'a list of discoveries', isDiscoveries(discoveries));
  const { encryption = 'required', insecure = false } = options;
  need('encryption', ENCRYPTIONS.join(' or '), ENCRYPTIONS.includes(encryption));
  need('insecure', 'true or false', typeof insecure === 'boolean');
  for (const name of FUNCTIONS) {
    const value: unknown = options[name];
    need(name, 'a function', value === undefined || typeof value === 'function');
  }
  if (!Array.isArray(keyring) || !keyring.every((key) => key instanceof Uint8Array)) {
    throw new SwimError('SWIM_ERR_KEY_INVALID', 'keyring: must be a list of bytes');
  }
  return { ...options, config: completeConfig(options.config), clusterId, meta };
}

const ENCRYPTIONS: readonly Encryption[] = ['required', 'accept-clear', 'send-clear'];

const FUNCTIONS = [
  'onBootEpoch',
  'onClusterId',
  'onEvent',
  'onForeignStream',
  'onJoin',
  'onKeyring',
  'onLeave',
  'onMembers',
  'onNotice',
  'onRefused',
  'onUpdate',
  'onView',
  'hostOf',
  'log',
  'transport',
] as const satisfies readonly (keyof SwimAgentOptions)[];

function need(name: string, what: string, isSo: boolean): void {
  if (!isSo) throw new SwimError('SWIM_ERR_CONFIG', `${name}: must be ${what}`);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Half a surrogate pair would reach the others as another text. */
function isText(value: unknown): boolean {
  return typeof value === 'string' && isWellFormed(value);
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every(isText);
}

function isDiscoveries(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every((each) => isObject(each) && 'open' in each && typeof each.open === 'function')
  );
}
