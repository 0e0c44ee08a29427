/** A log of one shard, applied as it grows: for tests of what its entries mean. */
import {
  type AckKind,
  type Message,
  type Operation,
  type Origin,
  type SubscriptionRequest,
  type Will,
} from '../../src/session/operation.ts';
import type { Session } from '../../src/session/session.ts';
import { ShardState } from '../../src/session/shard-state.ts';

type Of<T extends Operation['type']> = Operation & {
  type: T;
};
export declare const MESSAGE: Message;
export declare const WILL: Will;
export declare const REQUEST: SubscriptionRequest;
/** A log of one shard, applied as it grows. */
export declare class Shard {
  readonly state: ShardState;
  index: number;
  number: {
    counter: number;
    leader: string;
    bootEpoch: number;
  };
  /** Of the last entry. */
  freed: number[];
  apply(op: Operation, origin?: Origin | null, hlc?: number): number;
  open(clientId: string, how?: Partial<Of<'open'>>): Session;
  close(s: Session, how?: Partial<Of<'close'>>): number;
  subscribe(s: Session, ...requests: Partial<SubscriptionRequest>[]): number;
  unsubscribe(s: Session, ...filters: string[]): number;
  enqueue(...sessions: Session[]): number;
  ack(s: Session, position: number, kind?: AckKind): number;
  retain(topic: string, payload?: Uint8Array, hlc?: number): number;
  rx2(s: Session, packetId: number): number;
  /** The wills that fired: index of each, and of the OPEN that carried it. */
  get wills(): [number, number][];
}
//# sourceMappingURL=shard.d.ts.map
