import { lookup } from 'node:dns/promises';
import { isIP, type Socket } from 'node:net';
import { formatAddress, parseAddress } from '../address.ts';
import { SwimError } from '../errors.ts';
import type { RequestDone, Transport, TransportOpener, TransportOptions } from '../transport.ts';
import { Resolver } from './resolver.ts';
import { TcpTransport } from './tcp.ts';
import { UdpTransport } from './udp.ts';

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

class SocketTransport implements Transport {
  readonly address: string;
  private readonly udp: UdpTransport;
  private readonly tcp: TcpTransport;

  constructor(ip: string, udp: UdpTransport, tcp: TcpTransport) {
    this.address = formatAddress(ip, tcp.port);
    this.udp = udp;
    this.tcp = tcp;
  }

  get failed(): number {
    return this.udp.failed;
  }

  send(to: string, bytes: Uint8Array): void {
    this.udp.send(to, bytes);
  }

  request(to: string, bytes: Uint8Array, timeoutMs: number, done: RequestDone): void {
    this.tcp.request(to, bytes, timeoutMs, done);
  }

  async close(): Promise<void> {
    await Promise.all([this.tcp.close(), this.udp.close()]);
  }
}

async function bind(options: TransportOptions, foreign: ForeignStreams): Promise<Transport> {
  const { host, port } = parseAddress(options.listen);
  for (let attempt = 1; ; attempt += 1) {
    try {
      const ip = isIP(host) === 0 ? (await lookup(host, { family: 4 })).address : host;
      return await bindOnce(options, foreign, ip, port);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? '';
      // The system chose a port that was free for TCP only.
      if (port === 0 && code === 'EADDRINUSE' && attempt < ATTEMPTS_MAX) continue;
      if (code === 'EADDRINUSE') {
        throw new SwimError('SWIM_ERR_ADDRESS_IN_USE', options.listen, { cause: error });
      }
      if (ADDRESS_CODES.has(code)) {
        const detail = `Cannot listen on ${options.listen} (${code}).`;
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
    return new SocketTransport(ip, udp, tcp);
  } catch (error) {
    await tcp.close();
    throw error;
  }
}

const ATTEMPTS_MAX = 16;
const ADDRESS_CODES = new Set(['EADDRNOTAVAIL', 'EACCES', 'ENOTFOUND', 'EAI_AGAIN', 'EINVAL']);
