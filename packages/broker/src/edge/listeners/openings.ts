/**
 * Connections of one listener that are not ready for MQTT yet: at their PROXY header, TLS handshake or
 * WebSocket upgrade. Bounded in count, for the node, and in time.
 */
import type { Socket } from 'node:net';
import { formatAddress } from '@shoal/swim';
import type { ClientCertificate, Log } from '../../ports.ts';
import type { ByteStream } from './byte-stream.ts';
import type { OpeningOptions } from './listener.ts';
import type { StreamConnection } from './stream-connection.ts';

/** What a client has become of a socket. */
export interface Opened {
  readonly stream: ByteStream;
  /** The stream's events go to the connection from now on. @param ended to be called once, when it is closed */
  readonly attach: (connection: StreamConnection, ended: () => void) => void;
}

/** One socket on its way to MQTT; a layer adds what it learns. */
export interface Opening {
  /** The stream as far as it is opened: a socket, then TLS on it. */
  socket: Socket;
  /** Address of the client, where a proxy told it. */
  remote?: string | undefined;
  certificate?: ClientCertificate | undefined;
  /** It is held to be refused when its CONNECT has come. */
  readonly isExcess: boolean;
  /** Ends it, and says why. */
  fail(why: string): void;
}

/** A step of the way: hands on to `next`, or fails the opening. */
export type Layer = (opening: Opening, next: (opening: Opening) => void) => void;

const DEFAULT_OPENING: OpeningOptions = {
  handshakesMax: 1024,
  handshakeTimeoutMs: 10_000,
  counters: { handshakesUnderWay: 0, handshakesFailed: 0 },
};

class SocketOpening implements Opening {
  socket: Socket;
  remote: string | undefined = undefined;
  certificate: ClientCertificate | undefined = undefined;
  readonly isExcess: boolean;
  readonly sinceMs: number;
  readonly raw: Socket;
  readonly #openings: Openings;

  constructor(openings: Openings, raw: Socket, isExcess: boolean, nowMs: number) {
    this.#openings = openings;
    this.raw = raw;
    this.socket = raw;
    this.isExcess = isExcess;
    this.sinceMs = nowMs;
  }

  fail(why: string): void {
    this.#openings.failed(this, why);
  }
}

export class Openings {
  readonly #options: OpeningOptions;
  readonly #name: string;
  readonly #log: Log;
  readonly #underWay = new Set<SocketOpening>();
  readonly #onGone: (opening: Opening) => void;
  #failures = 0;

  /** @param onGone a connection has ended before it was opened */
  constructor(
    name: string,
    log: Log,
    onGone: (opening: Opening) => void,
    options: OpeningOptions = DEFAULT_OPENING,
  ) {
    this.#name = name;
    this.#log = log;
    this.#onGone = onGone;
    this.#options = options;
  }

  get count(): number {
    return this.#underWay.size;
  }

  /** @returns null if too many are under way: the socket is not wanted */
  begin(raw: Socket, isExcess: boolean, nowMs: number): Opening | null {
    const { counters, handshakesMax } = this.#options;
    if (counters.handshakesUnderWay >= handshakesMax) {
      this.#count(raw, 'too many handshakes under way (limits.handshakes)');
      return null;
    }
    const opening = new SocketOpening(this, raw, isExcess, nowMs);
    // Asked for once, it is known when the socket is closed too, and the log can name it.
    void raw.remoteAddress;
    this.#underWay.add(opening);
    counters.handshakesUnderWay++;
    raw.on('close', () => this.failed(opening, 'the client has closed the connection'));
    return opening;
  }

  /** It is a connection now. @returns false if it has failed meanwhile */
  done(opening: Opening): boolean {
    if (!this.#underWay.delete(opening as SocketOpening)) return false;
    this.#options.counters.handshakesUnderWay--;
    return true;
  }

  /** Also of one that is over already, which changes nothing. */
  failed(opening: SocketOpening, why: string): void {
    if (!this.done(opening)) return;
    this.#count(opening.raw, why, opening.remote);
    opening.raw.destroy();
    this.#onGone(opening);
  }

  #count(raw: Socket, why: string, remote?: string): void {
    this.#options.counters.handshakesFailed++;
    this.#failures++;
    if (!Number.isInteger(Math.log2(this.#failures))) return;
    const { remoteAddress: host, remotePort: port } = raw;
    const address = host === undefined || port === undefined ? '' : formatAddress(host, port);
    const fields = { listener: this.#name, remote: remote ?? address, why, times: this.#failures };
    this.#log('warn', 'a connection ended before MQTT', fields);
  }

  /** Ends those that take too long. */
  tick(nowMs: number): void {
    const { handshakeTimeoutMs } = this.#options;
    for (const opening of this.#underWay) {
      // In order of arrival.
      if (nowMs - opening.sinceMs <= handshakeTimeoutMs) return;
      opening.fail('took too long (timings.handshakeTimeoutMs)');
    }
  }

  close(): void {
    for (const opening of this.#underWay) opening.fail('the node stops');
  }
}
