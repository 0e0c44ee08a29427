/**
 * PUBLISH to a client, and the client's answers.
 *
 * Live messages get a Packet Identifier here and wait here while the client's window or its socket is
 * full; of the session's queue the leader keeps the window, and the position gives the identifier.
 *
 * Nothing of QoS 1 or 2 is dropped: above its mark a client's publishers wait with it. One that stops
 * reading meanwhile is disconnected, so that no connection goes on with a gap.
 */

import { ReasonCode } from '../../mqtt/reason-code.ts';
import type { Message } from '../../session/message.ts';
import { messageBytes } from '../../session/message.ts';
import type { AckKind } from '../../session/recipient.ts';
import { packetIdOf } from '../../session/session.ts';
import type { Delivery } from '../link/delivery-codec.ts';
import { Outcome } from '../link/given.ts';
import type { Opened } from '../link/request.ts';
import type { FrameCache, LiveSubscription } from '../route/client-port.ts';
import type { Client } from './parts.ts';
import { answer, relent } from './reading.ts';
import {
  type Given,
  givenKey,
  isApart,
  propertiesFor,
  publishBytes,
  publishFrame,
  pubrelFrame,
  SendWindow,
} from './send-window.ts';
import { answerGiven, wakeShared } from './shared-window.ts';

/**
 * What every client may have waiting, in its socket and as messages, when the clients of a node have
 * more than `limits.nodeBufferBytes` waiting in all.
 */
const CROWDED_BYTES_MAX = 65_536;
/** A tick counts for at most this long as time without reading: the node itself was late. */
const WATCHED_STEP_MS = 100;

// ---- what waits --------------------------------------------------------------------------------

/** Whether the socket takes more. */
function socketTakes(c: Client): boolean {
  const { counters, limits } = c.port;
  const crowded = counters.clientBytes > limits.nodeBufferBytes;
  const most = crowded ? CROWDED_BYTES_MAX : limits.connectionBufferBytes;
  return c.socket.pendingBytes <= most;
}

function windowTakes(c: Client, window: number): boolean {
  if (c.out!.inFlight.size >= window) return false;
  if (socketTakes(c)) return true;
  c.socket.awaitDrain();
  return false;
}

/** So much waits for the client that publishers have to wait. */
function aboveMark(c: Client, share: number): boolean {
  const { counters, limits } = c.port;
  const { waitingBytes, waitingCount } = c.out!;
  if (waitingCount > limits.liveQueueMessages * share) return true;
  const crowded = counters.clientBytes > limits.nodeBufferBytes;
  const most = crowded ? Math.min(CROWDED_BYTES_MAX, limits.liveQueueBytes) : limits.liveQueueBytes;
  return waitingBytes > most * share;
}

function waits(c: Client, bytes: number): void {
  c.out!.waitingBytes += bytes;
  c.port.counters.clientBytes += bytes;
}

/** Publishers may go on. */
function makeRoom(out: SendWindow): void {
  out.full = false;
  const { room } = out;
  out.room = [];
  for (const run of room) run();
}

/** Messages that an earlier connection may have been sent come again, under the same Packet Identifiers. */
export function keepIdentifiers(c: Client, { first, sentBelow }: Opened): void {
  if (sentBelow <= first) return;
  c.out ??= new SendWindow();
  c.out.keep(first, sentBelow);
}

/** The connection is over: nothing waits for it any more. */
export function endWaiting(c: Client): void {
  const out = c.out!;
  waits(c, -out.waitingBytes);
  c.clients.slow.delete(c);
  makeRoom(out);
}

/** A tick while publishers wait for the client: has it read anything since the last one? */
export function watchSlow(c: Client, elapsedMs: number, patienceMs: number): void {
  const out = c.out!;
  if (!out.full) {
    c.clients.slow.delete(c);
    return;
  }
  const { pendingBytes } = c.socket;
  if (out.settled !== out.settledSeen || pendingBytes < out.pendingSeen) out.stalledMs = 0;
  else out.stalledMs += Math.min(elapsedMs, WATCHED_STEP_MS);
  out.settledSeen = out.settled;
  out.pendingSeen = pendingBytes;
  if (out.stalledMs >= patienceMs) endSlow(c);
}

/** The client has stopped reading, and its publishers have waited for it long enough. */
function endSlow(c: Client): void {
  const { clientId, port, socket } = c;
  port.counters.slowReaders++;
  const why = 'the client does not read while its publishers wait';
  const waiting = c.out!.waitingCount;
  port.env.log('warn', 'slow client disconnected', {
    clientId,
    remote: socket.remote,
    why,
    waiting,
  });
  c.shutdown(ReasonCode.QuotaExceeded);
}

// ---- live messages -----------------------------------------------------------------------------

/** QoS 0: goes out at once, or not at all when the client is too slow. */
export function sendZero(
  c: Client,
  message: Message,
  retain: boolean,
  identifiers: readonly number[],
  cache: FrameCache,
): void {
  const { counters } = c.port;
  if (!socketTakes(c)) {
    counters.messagesDropped++;
    return;
  }
  const alias = c.sentAliases?.of(message.topic) ?? 0;
  // One that defines an alias is for this client alone.
  const own = identifiers.length > 0 || alias < 0;
  const kind = 4 * alias + (c.version === 5 ? 2 : 0) + (retain ? 1 : 0);
  let frame = own ? undefined : cache.frames[kind];
  if (!frame) {
    frame = frameFor(c, message, { qos: 0, retain, dup: false, packetId: 0 }, identifiers, alias);
    if (!own) cache.frames[kind] = frame;
  }
  if (writePublish(c, frame, message, alias)) counters.messagesDelivered[0]++;
}

function frameFor(
  c: Client,
  message: Message,
  o: { qos: number; retain: boolean; dup: boolean; packetId: number },
  identifiers: readonly number[],
  alias: number,
): Uint8Array {
  if (c.version < 5) return publishFrame(c.version, message, o);
  const properties = propertiesFor(message, identifiers, c.port.env.wallMs(), Math.abs(alias));
  return publishFrame(5, message, { ...o, properties, untitled: alias > 0 });
}

/** @returns false if it is dropped: larger than the client takes [MQTT-3.1.2-25], or not for it any more */
function writePublish(c: Client, frame: Uint8Array, message: Message, alias: number): boolean {
  const isDenied = c.rights !== null && !c.rights.mayReceive(message.topic);
  if (isDenied) c.port.counters.deliveriesDenied++;
  if (isDenied || (c.maximumPacketSize > 0 && publishBytes(frame, message) > c.maximumPacketSize)) {
    if (alias < 0) c.sentAliases?.forget(message.topic);
    return false;
  }
  c.write(frame);
  if (isApart(message)) c.writeMore(message.payload);
  c.port.counters.payloadBytesSent += message.payload.length;
  return true;
}

/**
 * QoS 1 and 2 for a session without persistence: at once, or when the client has room.
 *
 * @returns false if its publishers are to wait
 */
export function sendOrWait(
  c: Client,
  message: Message,
  qos: 1 | 2,
  retain: boolean,
  identifiers: readonly number[],
): boolean {
  c.out ??= new SendWindow();
  const { out } = c;
  if (out.waitingCount === 0 && windowTakes(c, window(c))) {
    sendLive(c, message, qos, retain, identifiers);
    return true;
  }
  out.wait({ message, qos, retain, identifiers });
  waits(c, messageBytes(message));
  if (out.full || !aboveMark(c, 1)) return !out.full;
  out.full = true;
  out.stalledMs = 0;
  out.settledSeen = out.settled;
  out.pendingSeen = c.socket.pendingBytes;
  c.clients.slow.add(c);
  relent(c);
  return false;
}

/** Whether a message would go out at once. If not, an acknowledgement or the socket's drain wakes the sender. */
export function takesNow(c: Client, qos: 0 | 1 | 2, bytes: number): boolean {
  if (!socketTakes(c) || c.socket.pendingBytes >= bytes) {
    c.socket.awaitDrain();
    return false;
  }
  if (qos === 0 || c.out === null) return true;
  return c.out.waitingCount === 0 && c.out.inFlight.size < window(c);
}

function window(c: Client): number {
  return Math.min(c.receiveMaximum, c.port.limits.inflightMessages);
}

function sendLive(
  c: Client,
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
    pubrecReceived: false,
    pubrelSent: false,
    given: null,
  });
}

/** Whether a message that may go to another client as well would go to this one at once. */
export function hasRoom(c: Client): boolean {
  const { out } = c;
  if (!out || out.waitingCount > 0 || out.held.length > 0 || !out.hasId) return false;
  return windowTakes(c, window(c));
}

/** A message that comes to this client as the member of a group, and for which it has room. */
export function sendGiven(
  c: Client,
  message: Message,
  qos: 1 | 2,
  s: LiveSubscription,
  given: Given,
): void {
  const packetId = c.out!.takeId();
  const retain = s.retainAsPublished && message.retain;
  const identifiers = s.identifier > 0 ? [s.identifier] : [];
  c.retained?.sawLive(message);
  // One that is too large for the client is dropped [MQTT-3.1.2-25].
  if (hasExpired(c, message)) return given.answer(Outcome.Done);
  if (!sendPublish(c, message, { qos, retain, dup: false, packetId }, identifiers))
    return given.answer(Outcome.Discarded);
  c.out!.inFlight.set(packetId, {
    position: -1,
    qos,
    pubrecReceived: false,
    pubrelSent: false,
    given,
  });
  c.out!.given.set(givenKey(given.id), given);
}

/** @returns false if it is too large for the client, as {@link writePublish} */
function sendPublish(
  c: Client,
  message: Message,
  o: { qos: 1 | 2; retain: boolean; dup: boolean; packetId: number },
  identifiers: readonly number[],
): boolean {
  const alias = c.sentAliases?.of(message.topic) ?? 0;
  const frame = frameFor(c, message, o, identifiers, alias);
  if (!writePublish(c, frame, message, alias)) return false;
  c.port.counters.messagesDelivered[o.qos]++;
  return true;
}

// ---- the session's queue -----------------------------------------------------------------------

/** What this connection has had is not sent again. */
export function sendQueued(c: Client, d: Delivery): void {
  if (!c.isOpen) return;
  c.out ??= new SendWindow();
  if (d.position < c.out.nextPosition) return;
  c.out.nextPosition = d.position + 1;
  if (!d.copy) c.retained?.sawLive(d.message);
  if (isOver(c, d)) return settlePosition(c, 'puback', d.position, null);
  if (c.out.held.length === 0 && mayGo(c, d)) return sendAtPosition(c, d);
  c.out.held.push(d);
  waits(c, messageBytes(d.message));
}

/** Within the client's Receive Maximum, a retained message not before its SUBACK, its identifier free. */
function mayGo(c: Client, d: Delivery): boolean {
  if (!windowTakes(c, c.receiveMaximum) || (d.copy && c.retained?.subackDue)) return false;
  // A message of a group may have the Packet Identifier of this position, for now.
  return !c.out!.inFlight.has(packetIdOf(d.position));
}

function sendAtPosition(c: Client, d: Delivery): void {
  const packetId = packetIdOf(d.position);
  const { qos, retain, dup } = d;
  if (!sendPublish(c, d.message, { qos, retain, dup, packetId }, d.identifiers))
    return settlePosition(c, 'puback', d.position, null);
  c.out!.inFlight.set(packetId, {
    position: d.position,
    qos,
    pubrecReceived: false,
    pubrelSent: false,
    given: null,
  });
}

/**
 * PUBREL for a message whose PUBREC an earlier connection, or an earlier leader, has seen: under the same Packet
 * Identifier [MQTT-4.4.0-1], and without the PUBLISH [MQTT-4.3.3-6].
 */
export function sendPubrel(c: Client, position: number): void {
  if (!c.isOpen) return;
  c.out ??= new SendWindow();
  const packetId = packetIdOf(position);
  if (position < c.out.nextPosition) {
    // Ours: PUBREL goes, or went, when the commit was confirmed.
    return;
  }
  c.out.nextPosition = position + 1;
  c.out.inFlight.set(packetId, {
    position,
    qos: 2,
    pubrecReceived: true,
    pubrelSent: true,
    given: null,
  });
  c.write(pubrelFrame(packetId, c.version));
}

// ---- what the client answers -------------------------------------------------------------------

/** PUBACK, or PUBCOMP: the message is the client's. */
export function onSettled(c: Client, packetId: number, qos: 1 | 2, reasonCode = 0): void {
  const held = c.out?.inFlight.get(packetId);
  if (!held) return;
  if (held.qos !== qos || (qos === 2 && !held.pubrecReceived))
    return c.fail(ReasonCode.ProtocolError, `${qos === 1 ? 'PUBACK' : 'PUBCOMP'} out of turn`); // [MQTT-4.3.2-3, 4.3.3-3, 4.3.3-5]
  c.out!.inFlight.delete(packetId);
  c.out!.settled++;
  if (held.position >= 0) settlePosition(c, qos === 1 ? 'puback' : 'pubcomp', held.position, null);
  // What is wrong with a PUBCOMP is no refusal of the message.
  if (held.given) answerGiven(c, held.given, qos === 1 ? reasonCode : 0);
  pump(c);
}

export function onPubrec(c: Client, packetId: number, reasonCode: number): void {
  const held = c.out?.inFlight.get(packetId);
  if (held?.qos === 1) return c.fail(ReasonCode.ProtocolError, 'PUBREC for a QoS 1 message');
  if (!held) {
    if (reasonCode >= 0x80) return; // A refusal ends the exchange: no PUBREL follows [MQTT-4.3.3-4, 4.4.0-2].
    const unknown = c.version === 5 ? ReasonCode.PacketIdentifierNotFound : 0;
    return answer(c, pubrelFrame(packetId, c.version, unknown));
  }
  c.out!.settled++;
  if (reasonCode >= 0x80) {
    c.out!.inFlight.delete(packetId);
    if (held.position >= 0) settlePosition(c, 'puback', held.position, null);
    if (held.given) answerGiven(c, held.given, reasonCode);
    pump(c);
    return;
  }
  const again = held.pubrecReceived;
  held.pubrecReceived = true;
  if (held.position < 0 || held.pubrelSent) return answer(c, pubrelFrame(packetId, c.version));
  if (again) return;
  // PUBREL leaves once the copies know of the PUBREC, so that none sends the message anew.
  settlePosition(c, 'pubrec', held.position, (ok) => {
    if (!ok || !c.isOpen) return;
    held.pubrelSent = true;
    c.write(pubrelFrame(packetId, c.version));
  });
}

function settlePosition(
  c: Client,
  kind: AckKind,
  position: number,
  done: ((ok: boolean) => void) | null,
): void {
  c.clients.sessions.settle(c.clientId, c.epoch, kind, position, done);
}

/** Its time was over before it could be sent [MQTT-3.3.2-5]. */
function hasExpired(c: Client, { expiresAtMs }: Message): boolean {
  return expiresAtMs > 0 && expiresAtMs <= c.port.env.wallMs();
}

/** The same of the session's queue: what was sent before has begun its exchange, which goes on [MQTT-4.3.3-7]. */
function isOver(c: Client, d: Delivery): boolean {
  return !d.dup && hasExpired(c, d.message);
}

/** The client has room again [MQTT-3.3.4-9]. */
export function pump(c: Client): void {
  const { out } = c;
  if (!out) return;
  while (out.held.length > 0 && mayGo(c, out.held[0]!)) {
    const d = out.held.shift()!;
    waits(c, -messageBytes(d.message));
    if (isOver(c, d)) settlePosition(c, 'puback', d.position, null);
    else sendAtPosition(c, d);
  }
  while (out.waitingCount > 0 && windowTakes(c, window(c))) {
    const w = out.shift()!;
    waits(c, -messageBytes(w.message));
    if (!hasExpired(c, w.message)) sendLive(c, w.message, w.qos, w.retain, w.identifiers);
  }
  if (out.full && !aboveMark(c, 0.5)) makeRoom(out);
  c.retained?.wake();
  if (c.sharing && hasRoom(c)) wakeShared(c);
}

/** Now and then: a client that keeps most of its window full gets messages of groups all the same. */
export function wakeSharing(c: Client): void {
  if (c.sharing && hasRoom(c)) wakeShared(c, 1);
}
