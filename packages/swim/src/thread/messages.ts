import type { StableView, ViewChange } from '../core/cut-detector.ts';
import type { Refusal } from '../core/event.ts';
import type { UserEvent } from '../core/event-codec.ts';
import type { SwimMember } from '../core/message.ts';
import { SwimError, type SwimErrorCode } from '../errors.ts';
import type { SwimLog } from '../ports.ts';
import type { SwimAgentOptions } from '../runtime/agent-options.ts';
import type { LoopWatchOptions } from './loop-watch.ts';
import type { MembersDelta } from './members-delta.ts';
import type { CounterNames } from './shared-status.ts';

/** Options of an agent that are plain data: what a thread can be given. */
export type PlainOptions = Omit<
  SwimAgentOptions,
  Callback | 'listen' | 'transport' | 'hostOf' | 'discoveries'
>;

/** What an agent calls its owner with: becomes part of a report. */
export type Callback =
  | 'onMembers'
  | 'onJoin'
  | 'onLeave'
  | 'onUpdate'
  | 'onView'
  | 'onEvent'
  | 'onBootEpoch'
  | 'onClusterId'
  | 'onKeyring'
  | 'onForeignStream'
  | 'onNotice'
  | 'onRefused'
  | 'log';

/** Options of an agent that cannot be given to another thread, made there. */
export interface ThreadSetup {
  /** URL of a module whose export `agentOptions` is an `AgentOptionsOf`. */
  readonly module: string;
  /** For that function; plain data. */
  readonly data?: unknown;
  /** Options of Node.js that this module needs, as `--import=tsx`; by default the thread has none. */
  readonly execArgv?: readonly string[];
}

/** Makes the options of an agent that are not plain data. Runs in the thread. */
export type AgentOptionsOf = (data: never) => Pick<SwimAgentOptions, 'hostOf'>;

/** What the thread is made with. */
export interface WorkerInit {
  readonly options: PlainOptions;
  readonly setup: ThreadSetup | undefined;
  readonly watch: LoopWatchOptions;
  readonly memory: SharedArrayBuffer;
  /** Streams come in at the main loop, which passes them on; otherwise the thread listens. */
  readonly relayed: boolean;
}

/** From the main loop to the thread. */
export type ToWorker =
  /** Binds and begins; answered by `started` or `refused`, after which it may be asked again. */
  | { readonly type: 'open'; readonly listen: string }
  /** The last report was taken in: the next may come. */
  | { readonly type: 'taken' }
  | { readonly type: 'join'; readonly id: number; readonly address: string }
  | { readonly type: 'set-meta'; readonly meta: Uint8Array }
  | { readonly type: 'set-unwell'; readonly unwell: boolean }
  | {
      readonly type: 'broadcast';
      readonly id: number;
      readonly name: string;
      readonly payload: Uint8Array;
    }
  | { readonly type: 'probe-now'; readonly name: string }
  | { readonly type: 'ended'; readonly name: string; readonly bootEpoch: number | undefined }
  | { readonly type: 'force-leave'; readonly id: number; readonly name: string }
  | { readonly type: 'leave' }
  | ({ readonly type: 'keyring'; readonly id: number } & KeyringCall)
  /** What `store` wanted was kept, or not. */
  | { readonly type: 'stored'; readonly id: number; readonly problem: string | undefined }
  /** Judges a stream by its head; answered by `admission`. */
  | {
      readonly type: 'admit';
      readonly id: number;
      readonly from: string;
      readonly head: Uint8Array;
    }
  /** A request that came in; answered by `reply`. */
  | {
      readonly type: 'request';
      readonly id: number;
      readonly from: string;
      readonly bytes: Uint8Array;
    }
  /** Closes everything; the thread ends by itself. */
  | { readonly type: 'stop' };

/** From the thread to the main loop. */
export type ToMain =
  | {
      readonly type: 'started';
      readonly address: string;
      readonly clusterId: string;
      readonly counterNames: CounterNames;
    }
  | { readonly type: 'refused'; readonly error: PlainError }
  | { readonly type: 'report'; readonly report: Report }
  | { readonly type: 'reply'; readonly id: number; readonly bytes: Uint8Array | null }
  | { readonly type: 'admission'; readonly id: number; readonly admitted: boolean }
  /** Answered by `stored`. */
  | { readonly type: 'store'; readonly id: number; readonly kept: Kept };

/** What the owner is to keep for the next start. */
export type Kept =
  | { readonly type: 'keyring'; readonly keys: readonly Uint8Array[] }
  | { readonly type: 'boot-epoch'; readonly bootEpoch: number };

/** An operation on the keyrings of all members. */
export type KeyringCall =
  | { readonly op: 'list' }
  | { readonly op: 'install'; readonly key: Uint8Array }
  | { readonly op: 'use' | 'remove'; readonly keyId: string; readonly force: boolean };

/** The answer to a call: what it gave, or why it failed. */
export interface Outcome {
  readonly id: number;
  /** A boolean, or of a `keyring` what it gives. */
  readonly value: unknown;
  readonly error: PlainError | undefined;
}

/** Everything that happened since the last report. One is under way at a time. */
export interface Report {
  readonly members?: MembersDelta;
  readonly view?: ViewChange;
  readonly refusals: readonly Refusal[];
  readonly events: readonly UserEvent[];
  readonly clusterId?: string;
  readonly outcomes: readonly Outcome[];
  readonly notices: readonly { readonly code: SwimErrorCode; readonly address: string }[];
  readonly logs: readonly Parameters<SwimLog>[];
  readonly left: boolean;
}

/** An error as plain data. */
export interface PlainError {
  readonly code: SwimErrorCode;
  readonly detail: string;
}

/** For the other thread; what is not ours becomes SWIM_ERR_THREAD. */
export function plainError(error: unknown): PlainError {
  if (error instanceof SwimError) return { code: error.code, detail: error.detail };
  return { code: 'SWIM_ERR_THREAD', detail: String(error) };
}

/** The inverse of {@link plainError}. */
export function swimError({ code, detail }: PlainError): SwimError {
  return new SwimError(code, detail);
}

/** A list of members before the first report. */
export const NO_MEMBERS: readonly SwimMember[] = Object.freeze([]);

/** A stable view before the first report. */
export const EMPTY_VIEW: StableView = Object.freeze({ number: 0, names: Object.freeze([]) });
