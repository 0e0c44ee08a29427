import type { SwimErrorCode } from '../errors.ts';
import type { ViewChange } from './cut-detector.ts';
import type { UserEvent } from './event-codec.ts';

/** What happens to the core. */
export type SwimEvent =
  /** Begins probing, and joining through `seeds` (host:port, the own address ignored). */
  | { readonly type: 'start'; readonly seeds: readonly string[] }
  /**
   * Replaces the seeds (the own address ignored, at most 256 kept). Asks a few of the new ones at once,
   * unless they are present members; the others in turn.
   */
  | { readonly type: 'seeds'; readonly seeds: readonly string[] }
  /** A datagram came in. The bytes are copied where kept. */
  | { readonly type: 'packet'; readonly from: string; readonly bytes: Uint8Array }
  /** The time of a `timer` effect has come. */
  | { readonly type: 'timer'; readonly token: number }
  /**
   * This process stalled for longer than `stallThresholdMs`. Give this event before the timers that came
   * due meanwhile.
   */
  | { readonly type: 'stalled' }
  /** A peer opened a stream and sent its request; answered by `stream-reply`. */
  | {
      readonly type: 'stream-request';
      readonly streamId: number;
      readonly from: string;
      readonly bytes: Uint8Array;
    }
  /** The answer to a `stream-open`; null if it failed or took too long. */
  | {
      readonly type: 'stream-response';
      readonly requestId: number;
      readonly bytes: Uint8Array | null;
      /** The host is there and says that no process listens at that port. */
      readonly refused?: boolean;
    }
  /** Joins through, or pulls in, the node at `address`; answered by `join-result`. */
  | { readonly type: 'join'; readonly address: string; readonly requestId?: number }
  /** Changes this member's metadata (at most 512 bytes) and tells all members. */
  | { readonly type: 'set-meta'; readonly meta: Uint8Array }
  /** Whether this process does its work; the others see it, and nothing else changes. */
  | { readonly type: 'set-unwell'; readonly unwell: boolean }
  /** Tells all members, this one by `user-event` in the same step. */
  | { readonly type: 'broadcast'; readonly name: string; readonly payload: Uint8Array }
  /** A hint that a member may be gone: probes it at once. Never evidence by itself. */
  | { readonly type: 'probe-now'; readonly name: string }
  /** The owner saw the process of a member end, as its supervisor does: it is faulty at once. */
  | { readonly type: 'ended'; readonly name: string; readonly bootEpoch?: number | undefined }
  /** An operator says that a faulty member never comes back: it counts as left on every member. */
  | { readonly type: 'force-leave'; readonly name: string }
  /** The boot epoch of a `boot-epoch` effect is kept: it may be used. */
  | { readonly type: 'boot-epoch'; readonly bootEpoch: number }
  /** Tells all members that this one leaves for good; answered by `left`. */
  | { readonly type: 'leave' };

/**
 * The host of a present member says that no process listens at the member's address: most likely that process has
 * ended. A hint and no verdict: a member that restarts, or is behind a firewall that rejects streams, is refused,
 * too.
 */
export interface Refusal {
  readonly name: string;
  /** Of the life that was refused: a later one is another process. */
  readonly bootEpoch: number;
  /** Whether this process was refused itself; otherwise other members say that they were. */
  readonly isFirstHand: boolean;
}

/** What the core wants done, in this order. */
export type SwimEffect =
  | {
      readonly type: 'send';
      readonly to: string;
      readonly bytes: Uint8Array;
      /** Whether the receiver itself gives `to` as its address, and was not only seen there. */
      readonly isOwn: boolean;
    }
  | {
      readonly type: 'stream-open';
      readonly requestId: number;
      readonly to: string;
      readonly bytes: Uint8Array;
      /** As for `send`. */
      readonly isOwn: boolean;
    }
  /** Answers and closes the stream; null closes it without an answer. */
  | {
      readonly type: 'stream-reply';
      readonly streamId: number;
      readonly bytes: Uint8Array | null;
    }
  /** Asks for the event `timer` once, with this token. The core ignores one that it no longer wants. */
  | {
      readonly type: 'timer';
      readonly token: number;
      readonly afterMs: number;
      /** What it is for: of use to simulators only. */
      readonly task: TimerTask;
    }
  /** Something that `members()` shows has changed; at most once per step, last but for notices. */
  | { readonly type: 'members-changed' }
  /** Another stable view: `view()` has it whole; at most once per step. */
  | ({ readonly type: 'view-changed' } & ViewChange)
  /**
   * A hint for the owner; it changes no state of the member. Comes with each probe that is refused, and
   * once when others suspect a member of having ended.
   */
  | ({ readonly type: 'refused' } & Refusal)
  /** A user event, for the first and only time. */
  | { readonly type: 'user-event'; readonly event: UserEvent }
  /** The cluster's id was learned; it stays. */
  | { readonly type: 'cluster-id'; readonly clusterId: string }
  /**
   * The cluster knows a later life of this member; this boot epoch is above it. Keep it for the next
   * start, then give it back by the event of the same type.
   */
  | { readonly type: 'boot-epoch'; readonly bootEpoch: number }
  | {
      readonly type: 'join-result';
      readonly requestId: number;
      readonly ok: boolean;
      readonly errorCode?: SwimErrorCode;
    }
  /** The departure has been spread; the core is at its end and ignores everything. */
  | { readonly type: 'left' }
  /** Something an operator should hear of. */
  | { readonly type: 'notice'; readonly code: SwimErrorCode; readonly address: string };

/** What a timer is for. */
export type TimerTask =
  | { readonly kind: 'period' }
  | { readonly kind: 'gossip' }
  | { readonly kind: 'sync' }
  | { readonly kind: 'reconnect' }
  | { readonly kind: 'leave' }
  | { readonly kind: 'cut' }
  | { readonly kind: 'suspicion'; readonly name: string }
  | {
      readonly kind: 'probe';
      readonly seq: number;
      readonly phase: 'direct' | 'verdict' | 'final' | 'refused';
    }
  | { readonly kind: 'help'; readonly seq: number; readonly phase: 'nack' | 'look' | 'end' };
