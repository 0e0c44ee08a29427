import net from 'node:net';
import mqttPacket, { type Packet } from 'mqtt-packet';
import type { DisconnectHow } from './history.ts';

/** Where to connect: a node's name, for the history, and its MQTT address. */
export interface Endpoint {
  readonly node: string;
  readonly host: string;
  readonly port: number;
}

export interface WireOptions {
  readonly endpoint: Endpoint;
  readonly version: 4 | 5;
  readonly keepAliveMs: number;
  /** Delay of the next acknowledgements, drawn anew each time. */
  readonly ackDelayMs: () => number;
}

export interface WireEvents {
  onOpen(): void;
  onPacket(packet: Packet): void;
  /** Bytes that are no MQTT packet. */
  onUnreadable(why: string): void;
  /** Nothing was heard for one and a half keep-alives in spite of pings; it is hung up. */
  onSilent(): void;
  onClosed(): void;
}

type Ack = { readonly cmd: 'puback' | 'pubrec' | 'pubcomp'; readonly packetId: number };
type Waiter = { readonly filter: string; readonly done: (reasonCode: number | undefined) => void };

/** One network connection, with all that the next one starts without. */
export class Wire {
  readonly endpoint: Endpoint;
  readonly socket: net.Socket;
  /** CONNACK with reason code 0 has come. */
  accepted = false;
  /** How we, or the server's DISCONNECT, ended it; undefined while it lasts, or if it broke. */
  ended: DisconnectHow | undefined;
  /** Reason code of the server's DISCONNECT. */
  reasonCode: number | undefined;
  /** How many PUBLISHes of ours the server takes unacknowledged. */
  serverReceiveMaximum = 65_535;
  /** SUBSCRIBEs and UNSUBSCRIBEs without an answer. */
  readonly waiters = new Map<number, Waiter>();
  /** Identifiers of PUBLISHes received here whose PUBACK or PUBCOMP has not left. */
  readonly unacknowledged = new Set<number>();
  readonly #options: WireOptions;
  readonly #events: WireEvents;
  #acks: Ack[] = [];
  #ackTimer: NodeJS.Timeout | undefined;
  #pingTimer: NodeJS.Timeout | undefined;
  #lastHeardMs = performance.now();

  constructor(options: WireOptions, events: WireEvents) {
    this.#options = options;
    this.#events = events;
    this.endpoint = options.endpoint;
    const { host, port } = options.endpoint;
    this.socket = net.connect({ host, port, noDelay: true });
    const parser = mqttPacket.parser({ protocolVersion: options.version });
    parser.on('error', (error) => events.onUnreadable(error.message));
    // Bytes that arrive after we have left are dropped.
    parser.on('packet', (packet) => {
      if (this.ended === undefined) events.onPacket(packet);
    });
    this.socket.once('connect', () => events.onOpen());
    this.socket.on('error', () => {});
    this.socket.on('end', () => this.socket.destroy());
    this.socket.on('data', (chunk) => {
      this.#lastHeardMs = performance.now();
      if (this.ended === undefined) parser.parse(chunk);
    });
    this.socket.once('close', () => {
      this.silence();
      events.onClosed();
    });
  }

  send(packet: Packet): void {
    if (!this.socket.writable) return;
    this.socket.write(mqttPacket.generate(packet, { protocolVersion: this.#options.version }));
  }

  /** Acknowledges now or a little later, always in order [MQTT-4.6.0-2, -3, -4]. */
  acknowledge(ack: Ack): void {
    this.#acks.push(ack);
    const delayMs = this.#options.ackDelayMs();
    if (delayMs < 1 && this.#ackTimer === undefined) this.#flushAcks();
    else this.#ackTimer ??= setTimeout(() => this.#flushAcks(), delayMs);
  }

  startPings(): void {
    const { keepAliveMs } = this.#options;
    if (keepAliveMs === 0) return;
    this.#pingTimer = setInterval(() => {
      if (performance.now() - this.#lastHeardMs <= 1.5 * keepAliveMs) this.send({ cmd: 'pingreq' });
      else {
        this.#events.onSilent();
        this.socket.destroy();
      }
    }, keepAliveMs / 2);
  }

  /** Sends nothing more of itself, and tells all waiting callers that no answer will come. */
  silence(): void {
    clearTimeout(this.#ackTimer);
    clearInterval(this.#pingTimer);
    this.#acks = [];
    for (const { done } of this.waiters.values()) done(undefined);
    this.waiters.clear();
  }

  /** Ends it with DISCONNECT, by closing it, or by resetting it so that bytes on the way are lost. */
  close(how: 'graceful' | 'abrupt' | 'reset'): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.socket.once('close', () => resolve());
    if (how === 'graceful' && this.accepted) {
      this.send({ cmd: 'disconnect', reasonCode: 0 } as Packet);
      this.ended = 'graceful';
      this.socket.end();
      // A server that does not close its end within a second is left with ours closed.
      const timer = setTimeout(() => this.socket.destroy(), 1_000);
      this.socket.once('close', () => clearTimeout(timer));
    } else {
      this.ended = 'abrupt';
      if (how === 'reset') this.socket.resetAndDestroy();
      else this.socket.destroy();
    }
    return promise;
  }

  #flushAcks(): void {
    this.#ackTimer = undefined;
    if (this.ended !== undefined) return;
    const acks = this.#acks;
    this.#acks = [];
    for (const { cmd, packetId } of acks) {
      if (cmd !== 'pubrec') this.unacknowledged.delete(packetId);
      this.send({ cmd, messageId: packetId });
    }
  }
}
