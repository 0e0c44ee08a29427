import { DgramAsPromised, type SocketAsPromised } from 'dgram-as-promised';
import { formatAddress, parseAddress } from '../address.ts';
import { PACKET_BYTES_MAX } from '../transport.ts';
import type { Resolver } from './resolver.ts';
import { systemClock } from './system.ts';

/** Of the socket: datagrams of some seconds, for a process that gets no CPU meanwhile. */
const RECEIVE_BUFFER_BYTES = 2 * 1_048_576;

/** Datagrams over UDP. */
export class UdpTransport {
  readonly #socket: SocketAsPromised;
  readonly #resolver: Resolver;
  #closed = false;
  /** Datagrams too long, or refused by the system. */
  failed = 0;

  private constructor(socket: SocketAsPromised, resolver: Resolver) {
    this.#socket = socket;
    this.#resolver = resolver;
  }

  /**
   * Binds and begins to receive.
   *
   * Receives by the socket's own event: `recv()` and `iterate()` of dgram-as-promised listen for
   * one datagram at a time and lose those that come between two calls.
   *
   * @throws the system's error (EADDRINUSE and the like)
   */
  static async bind(options: {
    readonly ip: string;
    readonly port: number;
    readonly resolver: Resolver;
    readonly onPacket: (from: string, bytes: Uint8Array) => void;
  }): Promise<UdpTransport> {
    const socket = DgramAsPromised.createSocket(options.ip.includes(':') ? 'udp6' : 'udp4');
    try {
      await socket.bind({ address: options.ip, port: options.port, exclusive: true });
    } catch (error) {
      await socket.close().catch(() => {});
      throw error;
    }
    askForBuffer(socket);
    const transport = new UdpTransport(socket, options.resolver);
    socket.socket.on('message', (bytes, remote) => {
      if (!transport.#closed) options.onPacket(formatAddress(remote.address, remote.port), bytes);
    });
    return transport;
  }

  /** Best effort: a packet that cannot be sent is counted and forgotten, like one lost on the way. */
  send(to: string, bytes: Uint8Array): void {
    if (this.#closed) return;
    if (bytes.length > PACKET_BYTES_MAX) {
      this.failed++;
      return;
    }
    // The socket reads the bytes in a later turn; the caller may have changed them by then.
    this.#trySend(to, Buffer.from(bytes)).catch(() => {
      this.failed++;
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#socket.close();
  }

  async #trySend(to: string, bytes: Uint8Array): Promise<void> {
    const { host, port } = parseAddress(to);
    const nowMs = systemClock();
    const ip = this.#resolver.cached(host, nowMs) ?? (await this.#resolver.resolve(host, nowMs));
    if (!this.#closed) await this.#socket.send(bytes, port, ip);
  }
}

/**
 * Asks for a larger buffer, of which the system gives what it may. A member that pauses loses the
 * datagrams that find no room.
 */
function askForBuffer(socket: SocketAsPromised): void {
  try {
    socket.socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
  } catch {
    // Some systems refuse a size above their limit instead of lowering it: their own size stays.
  }
}
