/**
 * PUBLISH to a client, and the client's answers.
 *
 * Live messages get a Packet Identifier here and wait here while the client's window is full; of the
 * session's queue the leader keeps the window, and the position gives the identifier.
 */
import { ReasonCode } from '../mqtt/reason-code.ts';
import type { AckKind, Message } from '../session/operation.ts';
import { packetIdOf } from '../session/session.ts';
import type { Connection } from './connection.ts';
import type { Delivery } from './context.ts';
import type { FrameCache } from './gateway.ts';
import { Outgoing, propertiesFor, publishFrame, pubrelFrame } from './outgoing.ts';

// ---- live messages -----------------------------------------------------------------------------

/** QoS 0: goes out at once, or not at all when the client is too slow. */
export function sendZero(
  c: Connection,
  message: Message,
  retain: boolean,
  identifiers: readonly number[],
  cache: FrameCache,
): void {
  const { counters, limits } = c.gateway;
  if (c.socket.pendingBytes > limits.connectionBufferBytes) {
    counters.messagesDropped++;
    return;
  }
  const own = identifiers.length > 0;
  const kind = (c.version === 5 ? 2 : 0) | (retain ? 1 : 0);
  let frame = own ? undefined : cache.frames[kind];
  if (!frame) {
    const properties =
      c.version === 5 ? propertiesFor(message, identifiers, c.gateway.wallMs()) : undefined;
    frame = publishFrame(c.version, message, {
      qos: 0,
      retain,
      dup: false,
      packetId: 0,
      properties,
    });
    if (!own) cache.frames[kind] = frame;
  }
  if (c.maximumPacketSize > 0 && frame.length > c.maximumPacketSize) return;
  counters.messagesDelivered[0]++;
  c.write(frame);
}

/** QoS 1 and 2 for a session without persistence: at once, or when the client has room. */
export function sendOrWait(
  c: Connection,
  message: Message,
  qos: 1 | 2,
  retain: boolean,
  identifiers: readonly number[],
): void {
  c.out ??= new Outgoing();
  if (c.out.waitingCount > 0 || c.out.inFlight.size >= window(c)) {
    if (c.out.waitingCount >= c.gateway.limits.liveQueueMessages)
      c.gateway.counters.messagesDropped++;
    else c.out.wait({ message, qos, retain, identifiers });
    return;
  }
  sendLive(c, message, qos, retain, identifiers);
}

function window(c: Connection): number {
  return Math.min(c.receiveMaximum, c.gateway.limits.inflightMessages);
}

function sendLive(
  c: Connection,
  message: Message,
  qos: 1 | 2,
  retain: boolean,
  identifiers: readonly number[],
): void {
  const packetId = c.out!.takeId();
  if (!sendPublish(c, message, { qos, retain, dup: false, packetId }, identifiers)) return;
  c.out!.inFlight.set(packetId, {
    position: -1,
    qos,
    released: false,
    pubrelSent: false,
  });
}

/** @returns false if the packet is larger than the client takes: it is dropped [MQTT-3.1.2-25] */
function sendPublish(
  c: Connection,
  message: Message,
  o: { qos: 1 | 2; retain: boolean; dup: boolean; packetId: number },
  identifiers: readonly number[],
): boolean {
  const properties =
    c.version === 5 ? propertiesFor(message, identifiers, c.gateway.wallMs()) : undefined;
  const frame = publishFrame(c.version, message, { ...o, properties });
  if (c.maximumPacketSize > 0 && frame.length > c.maximumPacketSize) return false;
  c.gateway.counters.messagesDelivered[o.qos]++;
  c.write(frame);
  return true;
}

// ---- the session's queue -----------------------------------------------------------------------

/** What this connection has had is not sent again. */
export function sendQueued(c: Connection, d: Delivery): void {
  if (!c.isOpen) return;
  c.out ??= new Outgoing();
  if (d.position < c.out.nextPosition) return;
  c.out.nextPosition = d.position + 1;
  if (c.out.held.length > 0 || c.out.inFlight.size >= c.receiveMaximum) c.out.held.push(d);
  else sendAtPosition(c, d);
}

function sendAtPosition(c: Connection, d: Delivery): void {
  const packetId = packetIdOf(d.position);
  const { qos, retain, dup } = d;
  if (!sendPublish(c, d.message, { qos, retain, dup, packetId }, d.identifiers))
    return settlePosition(c, 'ack', d.position, null);
  c.out!.inFlight.set(packetId, {
    position: d.position,
    qos,
    released: false,
    pubrelSent: false,
  });
}

/** PUBREL for a message whose PUBREC an earlier connection, or an earlier leader, has seen. */
export function sendRelease(c: Connection, position: number): void {
  if (!c.isOpen) return;
  c.out ??= new Outgoing();
  const packetId = packetIdOf(position);
  if (position < c.out.nextPosition) {
    // Ours: PUBREL goes, or went, when the commit was confirmed.
    return;
  }
  c.out.nextPosition = position + 1;
  c.out.inFlight.set(packetId, { position, qos: 2, released: true, pubrelSent: true });
  c.write(pubrelFrame(packetId, c.version));
}

// ---- what the client answers -------------------------------------------------------------------

/** PUBACK, or PUBCOMP: the message is the client's. */
export function onSettled(c: Connection, packetId: number, qos: 1 | 2): void {
  const held = c.out?.inFlight.get(packetId);
  if (!held) return;
  if (held.qos !== qos || (qos === 2 && !held.released))
    return c.fail(ReasonCode.ProtocolError, `${qos === 1 ? 'PUBACK' : 'PUBCOMP'} out of turn`); // [MQTT-4.3.2-1, 4.3.3-1]
  c.out!.inFlight.delete(packetId);
  if (held.position >= 0) settlePosition(c, qos === 1 ? 'ack' : 'done', held.position, null);
  pump(c);
}

export function onPubrec(c: Connection, packetId: number, reasonCode: number): void {
  const held = c.out?.inFlight.get(packetId);
  if (held?.qos === 1) return c.fail(ReasonCode.ProtocolError, 'PUBREC for a QoS 1 message');
  if (!held) {
    if (reasonCode >= 0x80) return; // A refusal ends the exchange: no PUBREL follows [MQTT-4.3.3-4].
    const unknown = c.version === 5 ? ReasonCode.PacketIdentifierNotFound : 0;
    return c.write(pubrelFrame(packetId, c.version, unknown));
  }
  if (reasonCode >= 0x80) {
    c.out!.inFlight.delete(packetId);
    if (held.position >= 0) settlePosition(c, 'ack', held.position, null);
    pump(c);
    return;
  }
  const again = held.released;
  held.released = true;
  if (held.position < 0 || held.pubrelSent) return c.write(pubrelFrame(packetId, c.version));
  if (again) return;
  // PUBREL leaves once the copies know of the PUBREC, so that none sends the message anew.
  settlePosition(c, 'rel', held.position, (ok) => {
    if (!ok || !c.isOpen) return;
    held.pubrelSent = true;
    c.write(pubrelFrame(packetId, c.version));
  });
}

function settlePosition(
  c: Connection,
  kind: AckKind,
  position: number,
  done: ((ok: boolean) => void) | null,
): void {
  c.gateway.settle(c.clientId, c.epoch, kind, position, done);
}

/** The client has room again [MQTT-3.3.4-9]. */
function pump(c: Connection): void {
  const out = c.out!;
  while (out.held.length > 0 && out.inFlight.size < c.receiveMaximum)
    sendAtPosition(c, out.held.shift()!);
  while (out.waitingCount > 0 && out.inFlight.size < window(c)) {
    const w = out.shift()!;
    sendLive(c, w.message, w.qos, w.retain, w.identifiers);
  }
}
