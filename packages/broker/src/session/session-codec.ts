/** A session in a checkpoint or snapshot. */
import type { Reader, Writer } from '../bytes.ts';
import { Session } from './session.ts';
import { readSubscription, writeSubscription } from './subscription.ts';

export function writeSession(w: Writer, s: Session): void {
  w.str(s.clientId);
  w.varint(s.birth);
  w.varint(s.epoch);
  w.f64(s.openedHlc);
  w.str(s.gateway);
  w.varint(s.gatewayEpoch);
  w.varint(s.connection);
  w.bool(s.present);
  w.u8(s.version);
  w.str(s.user);
  w.varint(s.expirySeconds);
  w.varint(s.expiresAtMs);
  w.varint(s.willIndex);
  w.varint(s.willDelayMs);
  w.varint(s.willAtMs);
  w.bool(s.graced);
  w.list([...(s.subscriptions?.values() ?? [])], (o, sub) => {
    writeSubscription(o, sub);
    o.f64(sub.since);
  });
  w.varint(s.retaining);
  const next = s.retainingNext ? ['', ...s.retainingNext] : [];
  w.list([...s.retainingFilters, ...next], (o, f) => o.str(f));
  w.str(s.retainingAfter);
  w.varint(s.front);
  w.varint(s.mark);
  w.varint(s.dupBelow);
  // Differences of references; 0 stands for a settled position.
  let last = 0;
  w.list([...s.refs()], (o, ref) => {
    o.varint(ref === 0 ? 0 : ref - last);
    if (ref !== 0) last = ref;
  });
  w.list([...(s.pubrecs ?? [])], (o, position) => o.varint(position));
  w.list([...(s.rx2 ?? [])], (o, [packetId, index]) => {
    o.varint(packetId);
    o.varint(index);
  });
}

export function readSession(r: Reader): Session {
  const s = new Session(r.str(), r.varint());
  s.epoch = r.varint();
  s.openedHlc = r.f64();
  s.gateway = r.str();
  s.gatewayEpoch = r.varint();
  s.connection = r.varint();
  s.present = r.bool();
  s.version = r.u8();
  s.user = r.str();
  s.expirySeconds = r.varint();
  s.expiresAtMs = r.varint();
  s.willIndex = r.varint();
  s.willDelayMs = r.varint();
  s.willAtMs = r.varint();
  s.graced = r.bool();
  const subscriptions = r.list((i) => ({ ...readSubscription(i), since: i.f64(), session: s }));
  if (subscriptions.length > 0)
    s.subscriptions = new Map(subscriptions.map((sub) => [sub.filter, sub]));
  s.retaining = r.varint();
  const filters = r.list((i) => i.str());
  // No filter is empty: one such parts what is read now from what is read next.
  const parting = filters.indexOf('');
  s.retainingFilters = parting < 0 ? filters : filters.slice(0, parting);
  if (parting >= 0) s.retainingNext = new Set(filters.slice(parting + 1));
  s.retainingAfter = r.str();
  const front = r.varint();
  s.mark = r.varint();
  s.dupBelow = r.varint();
  let last = 0;
  const refs = r.list((i) => {
    const difference = i.varint();
    if (difference !== 0) last += difference;
    return difference === 0 ? 0 : last;
  });
  s.restoreRefs(front, refs);
  const pubrecs = r.list((i) => i.varint());
  if (pubrecs.length > 0) s.pubrecs = new Set(pubrecs);
  const rx2 = r.list((i) => [i.varint(), i.varint()] as const);
  if (rx2.length > 0) s.rx2 = new Map(rx2);
  return s;
}

/** What its messages weigh, and those older than the front. */
export function writeQueueBytes(w: Writer, s: Session): void {
  w.list(s.stragglers, (o, { position, ref, bytes }) => {
    o.varint(position);
    o.varint(ref);
    o.varint(bytes);
  });
  const sizes: number[] = [];
  for (let p = s.front; p < s.tail; p++) if (s.refAt(p) !== 0) sizes.push(s.bytesAt(p));
  w.list(sizes, (o, bytes) => o.varint(bytes));
}

/** Into a session that has its queue. */
export function readQueueBytes(r: Reader, s: Session): void {
  const stragglers = r.list((i) => ({
    position: i.varint(),
    ref: i.varint(),
    bytes: i.varint(),
  }));
  const sizes = r.list((i) => i.varint());
  s.restoreSizes(sizes, stragglers);
}
