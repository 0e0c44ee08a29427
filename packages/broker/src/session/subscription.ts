/** What a client asks for by one Topic Filter of a SUBSCRIBE, and the bytes of it. */
import { BytesError, NewerFormatError, type Reader, type Writer } from '../bytes.ts';

export interface SubscriptionRequest {
  readonly filter: string;
  readonly qos: 0 | 1 | 2;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: 0 | 1 | 2;
  /** Subscription Identifier, 0 = none. */
  readonly identifier: number;
}

/** QoS, No Local, Retain As Published, Retain Handling. */
const SUBSCRIPTION_FLAGS = 63;

export function writeSubscription(w: Writer, s: SubscriptionRequest): void {
  w.str(s.filter);
  w.u8(s.qos | (s.noLocal ? 4 : 0) | (s.retainAsPublished ? 8 : 0) | (s.retainHandling << 4));
  w.varint(s.identifier);
}

/** @throws BytesError when malformed, NewerFormatError with flags of a later format */
export function readSubscription(r: Reader): SubscriptionRequest {
  const filter = r.str();
  const flags = r.u8();
  if (flags > SUBSCRIPTION_FLAGS) throw new NewerFormatError(`subscription with flags ${flags}`);
  if ((flags & 3) === 3) throw new BytesError('subscription of QoS 3');
  if (flags >> 4 === 3) throw new BytesError('subscription of Retain Handling 3');
  return {
    filter,
    qos: (flags & 3) as 0 | 1 | 2,
    noLocal: (flags & 4) !== 0,
    retainAsPublished: (flags & 8) !== 0,
    retainHandling: ((flags >> 4) & 3) as 0 | 1 | 2,
    identifier: r.varint(),
  };
}
