/**
 * One client's network connection: CONNECT to DISCONNECT.
 *
 * ```
 *   new ── CONNECT ──▶ opening ── OPEN committed ──▶ open ── DISCONNECT, error, kick ──▶ closed
 * ```
 * Bytes that come while the session is being opened wait in `early`. They are read, in order, once OPEN is
 * committed, even if the client is gone by then; if OPEN is refused they are dropped. State that few connections
 * need is created at its first use. What packets mean is in connect.ts, subscribing.ts, incoming.ts, sending.ts.
 */

import { decodeControl, encodeConnack, encodeDisconnect } from '../../mqtt/codec.ts';
import { PINGRESP } from '../../mqtt/frame-encode.ts';
import { FrameReader, type FrameSink } from '../../mqtt/frame-reader.ts';
import {
  type Connect,
  type Disconnect,
  PacketType,
  type ProtocolVersion,
} from '../../mqtt/packet.ts';
import { MalformedPacket } from '../../mqtt/packet-error.ts';
import { connackReturnCode, ReasonCode, reasonName } from '../../mqtt/reason-code.ts';
import type { ClientHandler, ClientSocket } from '../../ports.ts';
import type { Message } from '../../session/message.ts';
import type { SubscriptionRequest } from '../../session/subscription.ts';
import type { Taker } from '../link/delivery-codec.ts';
import { type Opened, Status } from '../link/request.ts';
import type { FrameCache } from '../route/client-port.ts';
import { admit } from './admitting.ts';
import {
  assignedName,
  checkConnect,
  connackProperties,
  expiryOf,
  keepAliveOf,
  readConnect,
  requestOf,
  sentAliasesOf,
} from './connect.ts';
import { ConnectionState } from './connection-state.ts';
import { Early } from './early.ts';
import { onAnswer, onPublish } from './incoming.ts';
import type { Client, ClientsOfNode } from './parts.ts';
import { answer, answersTaken, isHeldUp } from './reading.ts';
import { endWaiting, keepIdentifiers, pump, sendOrWait, sendZero, wakeSharing } from './sending.ts';
import type { ServerOptions } from './server-options.ts';
import type { SessionPort } from './session-port.ts';
import { endShared } from './shared-window.ts';
import {
  dropAll,
  onSubscribe,
  onUnsubscribe,
  removeLive,
  restore,
  setLive,
} from './subscribing.ts';

const NEW = 0;
const OPENING = 1;
const OPEN = 2;
const CLOSED = 3;

export class Connection extends ConnectionState implements Client, ClientHandler, FrameSink {
  readonly clients: ClientsOfNode;
  readonly socket: ClientSocket;
  readonly id: number;
  readonly options: ServerOptions;
  readonly reader: FrameReader;
  #state = NEW;
  #heardMs: number;
  /** While the session is opened. */
  #early: Early | null = null;
  /** A whole packet came in the present read. */
  #whole = false;

  constructor(clients: ClientsOfNode, socket: ClientSocket, id: number, options: ServerOptions) {
    super();
    this.clients = clients;
    this.socket = socket;
    this.id = id;
    this.options = options;
    this.#heardMs = Math.floor(clients.port.env.nowMs());
    this.reader = new FrameReader(options.maximumPacketSize);
  }

  get window(): number {
    return Math.min(this.receiveMaximum, this.port.limits.inflightMessages);
  }

  get port(): SessionPort {
    return this.clients.port;
  }

  get isOpen(): boolean {
    return this.#state === OPEN;
  }

  // ---- from the socket -------------------------------------------------------------------------

  onData(buffer: Uint8Array, start: number, end: number): void {
    if (this.#state === CLOSED) return;
    this.bytesReceived += end - start;
    this.port.counters.mqttBytesReceived += end - start;
    const at = this.#early ? start : this.reader.feed(buffer, start, end, this);
    if (this.#early && at < end) this.#early.keep(buffer, at, end, this.socket);
    // Only a whole packet shows that the client is well [MQTT-3.1.2-22]: not one that comes in drips.
    if (this.#whole) this.heard();
    this.#whole = false;
  }

  onFrame(
    type: number,
    flags: number,
    buf: Uint8Array,
    start: number,
    end: number,
    at: number,
  ): void {
    if (this.#state === CLOSED) return;
    this.#whole = true;
    this.packetsReceived++;
    this.port.counters.packetsReceived++;
    if (this.#state === NEW) return this.#onFirst(type, buf, at, end);
    if (type !== PacketType.Pingreq) this.port.calm.stir();
    switch (type) {
      case PacketType.Publish:
        return onPublish(this, flags, buf, start, end);
      case PacketType.Puback:
      case PacketType.Pubrec:
      case PacketType.Pubrel:
      case PacketType.Pubcomp:
        return onAnswer(this, type, buf, start, end);
      case PacketType.Pingreq:
        if (end > start) return this.fail(ReasonCode.MalformedPacket, 'PINGREQ with a body');
        return answer(this, PINGRESP);
      default:
        return this.#onControl(type, buf, at, end);
    }
  }

  onMalformed(reasonCode: number, why: string): void {
    this.fail(reasonCode, why);
  }

  /** What came behind CONNECT, now that OPEN is committed. */
  #readEarly(early: Early): void {
    if (!early.read(this.reader, this, () => this.#early) || this.#state !== OPEN) return;
    if (early.ended) {
      this.clients.log.lost(this);
      this.#leave(!early.gaveUp, -1);
    } else if (early.paused && this.unread === 0) {
      this.socket.resume();
    }
  }

  hold(): void {
    this.#early = new Early(Number.POSITIVE_INFINITY);
    this.reader.pause();
  }

  unhold(): void {
    const early = this.#early;
    this.#early = null;
    if (early && this.#state === OPEN) this.#readEarly(early);
  }

  get full(): boolean {
    return this.#early?.paused ?? false;
  }

  heard(): void {
    this.#heardMs = this.port.env.nowMs();
  }

  onSecond(nowMs: number): void {
    if (isHeldUp(this) || this.#early) this.#heardMs = nowMs;
    this.retained?.wake();
    if (this.sharing) wakeSharing(this);
    const silentMs = nowMs - this.#heardMs;
    if (this.#state === NEW && silentMs > this.port.timings.connectTimeoutMs) {
      this.clients.log.refused(this, 'no CONNECT in time');
      this.#end(true);
    } else if (this.#state === OPEN && this.keepAliveMs > 0 && silentMs > this.keepAliveMs * 1.5) {
      this.fail(ReasonCode.KeepAliveTimeout, 'keep alive elapsed'); // [MQTT-3.1.2-22]
    }
  }

  onDrain(): void {
    if (this.#state === CLOSED) return;
    answersTaken(this);
    if (this.out) pump(this);
    this.retained?.wake();
  }

  onClosed(): void {
    if (this.#state === CLOSED) return;
    // What it sent counts only if its session opens, which is not decided yet.
    if (this.#early) {
      this.#early.endedMs = this.port.env.nowMs();
      return;
    }
    this.clients.log.lost(this);
    this.#leave(true, -1);
  }

  // ---- CONNECT ---------------------------------------------------------------------------------

  #onFirst(type: number, buf: Uint8Array, at: number, end: number): void {
    if (type !== PacketType.Connect) {
      this.clients.log.refused(this, 'first packet is no CONNECT');
      return this.#end(true); // [MQTT-3.1.0-1]
    }
    const connect = readConnect(buf.subarray(at, end), this.options);
    this.version = connect.protocolVersion as ProtocolVersion;
    if (connect instanceof MalformedPacket) return this.fail(connect.reasonCode, connect.message);
    if (this.version === 3) this.reader.ignoreDup();
    this.maximumPacketSize = connect.properties.maximumPacketSize ?? 0;
    const refusal = checkConnect(connect, this);
    if (refusal !== 0) return this.#refuse(refusal, connect.clientId);
    this.#state = OPENING;
    this.#early = new Early(Math.floor(this.port.env.nowMs()));
    this.reader.pause();
    const assigned = connect.clientId === '';
    this.clientId = assigned ? assignedName(this.port, this.options) : connect.clientId;
    this.keepAliveMs = keepAliveOf(connect, this.options) * 1000;
    this.expirySeconds = expiryOf(connect, this.options);
    this.sentAliases = sentAliasesOf(connect, this);
    this.receiveMaximum = connect.properties.receiveMaximum ?? 65535;
    admit(this, connect, (refusal) => {
      if (this.#state !== OPENING) return;
      if (refusal !== 0) return this.#refuse(refusal);
      this.clients.sessions.open(this.id, requestOf(connect, this), (status, opened) =>
        this.#onAnswered(connect, assigned, status, opened),
      );
    });
  }

  #onAnswered(connect: Connect, assigned: boolean, status: Status, opened: Opened | null): void {
    if (this.#state === CLOSED) {
      // Never accepted, since the server closed it: its Will is not sent.
      if (status === Status.Ok && opened) this.#sendClose(opened.epoch, false, -1);
      return;
    }
    if (status === Status.TakenOver && opened && !connect.will) {
      // A newer connection of the same Client Identifier came first: accepted, and taken over. One with
      // a Will, which then would have to be sent, is not accepted.
      this.#early = null;
      this.#state = OPEN;
      this.#accept(connect, assigned, opened.present);
      return this.disconnect(ReasonCode.SessionTakenOver);
    }
    if (status === Status.NotAuthorized) return this.#refuse(ReasonCode.NotAuthorized);
    if (status !== Status.Ok || !opened) return this.#refuse(ReasonCode.ServerUnavailable);
    const early = this.#early!;
    this.#early = null;
    this.#state = OPEN;
    this.#heardMs = this.port.env.nowMs();
    this.connectedMs = this.port.env.wallMs();
    this.epoch = opened.epoch;
    this.resumed = opened.present;
    keepIdentifiers(this, opened);
    this.persistent = opened.present || this.expirySeconds > 0;
    this.clients.opened(this);
    this.clients.log.connected(this, opened.present);
    // A group may have messages for it at once.
    if (!this.#accept(connect, assigned, opened.present)) return;
    const rest = restore(this, opened.subscriptions);
    if (!rest) return this.#readEarly(early);
    this.#early = early.connected();
    this.clients.line.add(rest);
  }

  /** @returns false if the client does not take so large a CONNACK: it is closed [MQTT-3.1.2-24] */
  #accept(connect: Connect, assigned: boolean, sessionPresent: boolean): boolean {
    const { version } = this;
    const properties = connackProperties(this, connect, assigned ? this.clientId : null);
    const reasonCode = ReasonCode.Success;
    const frame = encodeConnack({ version, sessionPresent, reasonCode, properties });
    if (this.#takes(frame)) {
      this.write(frame);
      return true;
    }
    const { clientId, epoch, maximumPacketSize } = this;
    const why = 'CONNACK is larger than the Maximum Packet Size of the client';
    this.port.env.log('warn', why, { clientId, bytes: frame.length, maximumPacketSize });
    this.#release();
    this.#sendClose(epoch, false, -1);
    this.socket.close(true);
    return false;
  }

  #takes(frame: Uint8Array): boolean {
    return this.maximumPacketSize === 0 || frame.length <= this.maximumPacketSize;
  }

  #refuse(reasonCode: number, clientId = this.clientId): void {
    const { clients, socket, version } = this;
    clients.log.refused({ clientId, version, socket }, reasonName(reasonCode));
    this.#tell(reasonCode, (properties) =>
      encodeConnack({ version, sessionPresent: false, reasonCode, properties }),
    );
    this.#end(true);
  }

  /** Writes where to go instead, if that is why and the client takes so large a packet. */
  #tell(
    reasonCode: number,
    encode: (properties: { serverReference?: string }) => Uint8Array,
  ): void {
    const serverReference =
      reasonCode === ReasonCode.ServerMoved ? this.port.draining.serverReference() : '';
    const bytes = encode(serverReference === '' ? {} : { serverReference });
    if (this.#takes(bytes)) return this.write(bytes);
    const bare = encode({}); // [MQTT-3.1.2-24]
    if (this.#takes(bare)) this.write(bare);
  }

  // ---- packets ---------------------------------------------------------------------------------

  #onControl(type: number, buf: Uint8Array, at: number, end: number): void {
    if (type === PacketType.Connect) return this.fail(ReasonCode.ProtocolError, 'second CONNECT'); // [MQTT-3.1.0-2]
    try {
      const packet = decodeControl(buf.subarray(at, end), this.version, this.options.text);
      switch (packet.type) {
        case 'subscribe':
          return onSubscribe(this, packet);
        case 'unsubscribe':
          return onUnsubscribe(this, packet);
        case 'disconnect':
          return this.#onDisconnect(packet);
        default:
          return this.fail(ReasonCode.ProtocolError, `unexpected ${packet.type}`);
      }
    } catch (e) {
      if (!(e instanceof MalformedPacket)) throw e;
      this.fail(e.reasonCode, e.message);
    }
  }

  #onDisconnect(packet: Disconnect): void {
    const expiry = packet.properties.sessionExpiryInterval;
    if (expiry !== undefined && expiry > 0 && this.expirySeconds === 0)
      return this.fail(ReasonCode.ProtocolError, 'expiry raised from 0 at DISCONNECT');
    this.clients.log.disconnected(this, packet.reasonCode);
    this.saidAll = packet.reasonCode === 0 && !this.persistent;
    const expirySeconds =
      expiry === undefined ? -1 : Math.min(expiry, this.options.sessionExpiryMaxSeconds);
    this.#leave(packet.reasonCode !== 0, expirySeconds); // [MQTT-3.14.4-3]
    this.socket.close(true);
  }

  // ---- to the client ---------------------------------------------------------------------------

  write(packet: Uint8Array): void {
    this.packetsSent++;
    this.port.counters.packetsSent++;
    this.writeMore(packet);
  }

  writeMore(bytes: Uint8Array): void {
    this.bytesSent += bytes.length;
    this.port.counters.mqttBytesSent += bytes.length;
    this.socket.write(bytes);
  }

  deliverLive(
    message: Message,
    qos: 0 | 1 | 2,
    retain: boolean,
    identifiers: readonly number[],
    frames: FrameCache,
  ): boolean {
    if (this.#state !== OPEN) return true;
    this.retained?.sawLive(message);
    if (qos > 0) return sendOrWait(this, message, qos as 1 | 2, retain, identifiers);
    sendZero(this, message, retain, identifiers, frames);
    return true;
  }

  whenRoom(run: () => void): void {
    if (this.#state === OPEN && this.out?.full) this.out.room.push(run);
    else run();
  }

  // ---- subscriptions of the connection ----------------------------------------------------------

  setLive(request: SubscriptionRequest): void {
    this.subscriptions ??= new Map();
    setLive(this, this.subscriptions, request);
  }

  dropLive(filter: string): boolean {
    const s = this.subscriptions?.get(filter);
    if (!s) return false;
    this.subscriptions!.delete(filter);
    removeLive(this.port, s);
    return true;
  }

  // ---- the end ---------------------------------------------------------------------------------

  /** Another connection owns the session. */
  fenced(): void {
    this.disconnect(ReasonCode.SessionTakenOver);
  }

  /** Closes from our side; MQTT 5 clients are told why. The session is not this connection's. */
  disconnect(reasonCode: number, by: Taker | null = null): void {
    // While the session is opened the answer to OPEN says so too, and CONNACK has to come first.
    if (this.#state === CLOSED || this.#state === OPENING) return;
    this.write(encodeDisconnect({ version: this.version, reasonCode }));
    this.clients.ending(this, reasonCode, by);
    this.#release();
    this.socket.close(true);
  }

  /** The client broke the protocol, or went silent. */
  fail(reasonCode: number, why: string): void {
    if (this.#state === CLOSED) return;
    this.clients.log.failed(this, reasonCode, why);
    const { version } = this;
    if (this.#state === OPEN) this.write(encodeDisconnect({ version, reasonCode }));
    else if (version === 5 || connackReturnCode(reasonCode) !== undefined)
      this.write(encodeConnack({ version, sessionPresent: false, reasonCode, properties: {} }));
    this.#end(true);
  }

  /**
   * Ends the connection from our side, as an end like any other: the session goes on elsewhere.
   * @param graceMs the client may be back before its Will is sent
   */
  shutdown(reasonCode: number, graceMs = 0, by: Taker | null = null): void {
    if (this.#state === CLOSED) return;
    if (graceMs > 0) this.port.env.trace?.('sent-away', { clientId: this.clientId });
    if (this.#state === OPEN) this.clients.ending(this, reasonCode, by);
    if (this.#state === OPEN && this.version === 5)
      this.#tell(reasonCode, (properties) =>
        encodeDisconnect({ version: 5, reasonCode, properties }),
      );
    this.#end(true, graceMs);
  }

  #end(abnormal: boolean, graceMs = 0): void {
    this.#leave(abnormal, -1, graceMs);
    this.socket.close(true);
  }

  #leave(abnormal: boolean, expirySeconds: number, graceMs = 0): void {
    const open = this.#state === OPEN;
    this.#release();
    if (open) this.#sendClose(this.epoch, abnormal, expirySeconds, graceMs);
  }

  #sendClose(epoch: number, abnormal: boolean, expirySeconds: number, graceMs = 0): void {
    const sentUpto = this.persistent ? (this.out?.sentUpto ?? 0) : -1;
    this.clients.sessions.close(this.clientId, epoch, {
      abnormal,
      expirySeconds,
      sentUpto,
      graceMs,
    });
  }

  #release(): void {
    this.#state = CLOSED;
    this.reader.stop();
    this.retained?.end();
    this.retained = null;
    if (this.subscriptions) dropAll(this.clients, this.subscriptions);
    this.subscriptions = null;
    this.#early = null;
    this.aliases?.clear();
    this.sentAliases?.clear();
    this.clients.gone(this);
    this.clients.crowded.delete(this);
    if (this.out) endWaiting(this);
    endShared(this);
  }
}
