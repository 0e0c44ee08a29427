import type { CoreInspection } from '../core-port.ts';
import type {
  Connection,
  Delivery,
  History,
  HistoryObserver,
  Message,
  Session,
  Subscription,
} from '../history.ts';

/** What a checker may see of the cluster besides what clients saw. */
export interface World {
  readonly nowMs: number;
  /** When the last fault ended; Infinity while faults go on. */
  readonly healedAtMs: number;
  /** Since when a split holds and nothing else is wrong; Infinity while there is none. */
  readonly splitSinceMs: number;
  /** The node, and all that it reaches directly or by way of others. */
  sideOf(node: string): ReadonlySet<string>;
  /** Nodes that run, with what their cores say; undefined if paused or not yet booted. */
  inspections(): readonly { readonly node: string; readonly inspection: CoreInspection }[];
}

/**
 * Judges one invariant of docs/TESTING.md from what happens.
 *
 * Safety is judged at once, by the event methods; what must come true eventually is awaited by
 * `pending` once the faults are over, and judged by `finish` when nothing is pending any more.
 */
export abstract class Checker implements HistoryObserver {
  /** Number and name of the invariant, for reports. */
  abstract readonly invariant: string;
  protected history!: History;

  attach(history: History): void {
    this.history = history;
  }

  onSent?(message: Message): void;
  onAcked?(message: Message): void;
  onConnack?(connection: Connection, sessionPresent: boolean, expected: boolean | undefined): void;
  onSubscribed?(session: Session, subscription: Subscription, connection: Connection): void;
  onAnswered?(connection: Connection, what: string, requestSentAtMs: number): void;
  onArrived?(delivery: Delivery): void;
  onDelivered?(delivery: Delivery, first: boolean): void;
  /** A core reported a step of its protocol through `NodeEnv.trace`. */
  onPhase?(node: string, phase: string, fields?: Record<string, unknown>): void;
  /** Called every 100 ms of virtual time. */
  onInterval?(world: World): void;

  /** What is still awaited after healing, in words; undefined if nothing. */
  pending?(world: World): string | undefined;
  /** Judges what has to hold in the end; called once nothing is pending. */
  finish?(world: World): void;

  protected fail(text: string): void {
    this.history.fail(this.invariant, text);
  }
}
