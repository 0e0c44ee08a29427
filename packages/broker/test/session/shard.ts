/** A log of one shard, applied as it grows: for tests of what its entries mean. */

import type { Will } from '../../src/session/message.ts';
import { type Operation, type Origin, writeOperation } from '../../src/session/operation.ts';
import type { AckKind } from '../../src/session/recipient.ts';
import type { Session } from '../../src/session/session.ts';
import { ShardState } from '../../src/session/shard-state.ts';
import type { SubscriptionRequest } from '../../src/session/subscription.ts';
import { encodeEntry } from '../../src/shard/log.ts';
import { MESSAGE } from '../samples.ts';

type Of<T extends Operation['type']> = Operation & { type: T };

export const WILL: Will = {
  message: { ...MESSAGE, topic: 'will' },
  delaySeconds: 0,
  expirySeconds: -1,
};
export const REQUEST: SubscriptionRequest = {
  filter: 'f',
  qos: 1,
  noLocal: false,
  retainAsPublished: false,
  retainHandling: 2,
  identifier: 0,
};

/** A log of one shard, applied as it grows. */
export class Shard {
  readonly state = new ShardState();
  index = 0;
  number = { counter: 3, leader: 'a#1', bootEpoch: 1 };
  /** Of the last entry. */
  freed: number[] = [];

  apply(op: Operation, origin: Origin | null = null, hlc = this.index + 1): number {
    const index = ++this.index;
    const entry = encodeEntry(index, this.number, hlc, (w) => writeOperation(w, op, origin));
    this.state.apply(entry);
    this.freed = this.state.takeFreed();
    return index;
  }

  open(clientId: string, how: Partial<Of<'open'>> = {}): Session {
    this.apply({
      type: 'open',
      clientId,
      cleanStart: false,
      hlc: this.index,
      expirySeconds: 60,
      gateway: 'n',
      gatewayEpoch: 1,
      connection: this.index + 1,
      version: 5,
      user: '',
      will: null,
      sentUpto: -1,
      ...how,
    });
    return this.state.sessions.get(clientId)!;
  }

  close(s: Session, how: Partial<Of<'close'>> = {}): number {
    const { clientId, epoch } = s;
    const defaults = { abnormal: true, graceMs: 0, expirySeconds: -1, sentUpto: -1, elapsedMs: 0 };
    return this.apply({ type: 'close', clientId, epoch, ...defaults, ...how });
  }

  subscribe(s: Session, ...requests: Partial<SubscriptionRequest>[]): number {
    const subscriptions = requests.map((r) => ({ ...REQUEST, ...r }));
    return this.apply({ type: 'sub', clientId: s.clientId, epoch: s.epoch, subscriptions });
  }

  unsubscribe(s: Session, ...filters: string[]): number {
    return this.apply({ type: 'unsub', clientId: s.clientId, epoch: s.epoch, filters });
  }

  enqueue(...sessions: Session[]): number {
    const recipients = sessions.map(({ clientId, birth }) => {
      return { clientId, birth, qos: 1 as const, retain: false, identifiers: [] };
    });
    return this.apply({ type: 'enq', rx2: null, message: MESSAGE, recipients, retained: false });
  }

  ack(s: Session, position: number, kind: AckKind = 'puback'): number {
    const { clientId, epoch } = s;
    return this.apply({ type: 'ack', items: [{ clientId, epoch, kind, position }] });
  }

  retain(topic: string, payload: Uint8Array = MESSAGE.payload, hlc = 0): number {
    const message = { ...MESSAGE, topic, payload, hlc };
    return this.apply({ type: 'retain', rx2: null, message });
  }

  rx2(s: Session, packetId: number): number {
    const { clientId, epoch } = s;
    return this.apply({ type: 'rx2', clientId, epoch, packetId, message: MESSAGE });
  }

  /** The wills that fired: index of each, and of the OPEN that carried it. */
  get wills(): [number, number][] {
    const fired = [...this.state.owed].filter(([, owed]) => owed.will);
    return fired.map(([index, { messageIndex }]) => [index, messageIndex]);
  }
}
