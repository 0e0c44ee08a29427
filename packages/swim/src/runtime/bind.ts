import { lookup } from 'node:dns/promises';
import { isIP, type Socket } from 'node:net';
import { formatAddress, parseAddress } from '../address.ts';
import { SwimError } from '../errors.ts';
import type { RequestDone, Transport, TransportOpener, TransportOptions } from '../transport.ts';
import { Resolver } from './resolver.ts';
import { TcpTransport } from './tcp.ts';
import { UdpTransport } from './udp.ts';

const ATTEMPTS_MAX = 16;
const ADDRESS_CODES = new Set(['EADDRNOTAVAIL', 'EACCES', 'ENOTFOUND', 'EAI_AGAIN', 'EINVAL']);

/** What the TCP port does with connections that do not speak SWIM. */
export interface ForeignStreams {
  /**
   * A connection whose first byte is not SWIM's, with what was read of it; paused, and the
   * receiver's to keep. Attach listeners, `error` above all, before returning. Default: closed.
   */
  onForeign?(socket: Socket, head: Buffer): void;
}

/**
 * Packets over UDP and requests over TCP, both on one port.
 *
 * Names in addresses are looked up again five seconds after the last time: that long a name may
 * lead to an address that it no longer has.
 */
export function socketTransport(foreign: ForeignStreams = {}): TransportOpener {
  return async (options) => await bind(options, foreign);
}

/** Packets over one, requests over the other. */
export class SocketTransport implements Transport {
  readonly address: string;
  readonly #udp: UdpTransport;
  readonly #tcp: TcpTransport;

  constructor(address: string, udp: UdpTransport, tcp: TcpTransport) {
    this.address = address;
    this.#udp = udp;
    this.#tcp = tcp;
  }

  get failed(): number {
    return this.#udp.failed;
  }

  send(to: string, bytes: Uint8Array): void {
    this.#udp.send(to, bytes);
  }

  request(to: string, bytes: Uint8Array, timeoutMs: number, done: RequestDone): void {
    this.#tcp.request(to, bytes, timeoutMs, done);
  }

  async close(): Promise<void> {
    await Promise.all([this.#tcp.close(), this.#udp.close()]);
  }
}

async function bind(options: TransportOptions, foreign: ForeignStreams): Promise<Transport> {
  return await bindTo(options.listen, (ip, port) => bindOnce(options, foreign, ip, port));
}

/**
 * Binds sockets of one address: looks the host up, tries again where port 0 gave one that is not free
 * for all of them, and names what goes wrong.
 *
 * @param once binds all of them or none
 * @throws SwimError SWIM_ERR_ADDRESS_IN_USE, SWIM_ERR_ADDRESS_INVALID
 */
export async function bindTo<T>(
  listen: string,
  once: (ip: string, port: number) => Promise<T>,
): Promise<T> {
  const { host, port } = parseAddress(listen);
  for (let attempt = 1; ; attempt++) {
    try {
      const ip = isIP(host) === 0 ? (await lookup(host, { family: 4 })).address : host;
      return await once(ip, port);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? '';
      const inUse = code === 'EADDRINUSE' || code === 'SWIM_ERR_ADDRESS_IN_USE';
      // The system chose a port that was free for TCP only.
      if (port === 0 && inUse && attempt < ATTEMPTS_MAX) continue;
      if (inUse) throw new SwimError('SWIM_ERR_ADDRESS_IN_USE', listen, { cause: error });
      if (ADDRESS_CODES.has(code)) {
        const detail = `Cannot listen on ${listen} (${code}).`;
        throw new SwimError('SWIM_ERR_ADDRESS_INVALID', detail, { cause: error });
      }
      throw error;
    }
  }
}

async function bindOnce(
  options: TransportOptions,
  foreign: ForeignStreams,
  ip: string,
  wantedPort: number,
): Promise<Transport> {
  const { streamBytesMax, streamTimeoutMs } = options;
  const resolver = new Resolver(ip.includes(':') ? 6 : 4);
  const tcp = await TcpTransport.listen({
    ip,
    port: wantedPort,
    resolver,
    streamBytesMax,
    streamTimeoutMs,
    requestHead: options.requestHead,
    handlers: {
      onRequest: (from, bytes, reply) => options.onRequest(from, bytes, reply),
      onForeign: (socket, head) => {
        if (foreign.onForeign === undefined) socket.destroy();
        else foreign.onForeign(socket, head);
      },
    },
  });
  try {
    const onPacket = (from: string, bytes: Uint8Array): void => options.onPacket(from, bytes);
    const udp = await UdpTransport.bind({ ip, port: tcp.port, resolver, onPacket });
    return new SocketTransport(formatAddress(ip, tcp.port), udp, tcp);
  } catch (error) {
    await tcp.close();
    throw error;
  }
}
