import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { SwimError } from '../errors.ts';
import { parseAddress, Resolver } from './address.ts';
import { type TcpHandlers, TcpTransport } from './tcp.ts';
import { UdpTransport } from './udp.ts';

/** UDP and TCP on one port. */
export interface BoundTransports {
  readonly udp: UdpTransport;
  readonly tcp: TcpTransport;
  readonly ip: string;
  readonly port: number;
}

export interface BindOptions {
  /** host:port; port 0 for any that is free for both. */
  readonly listen: string;
  readonly streamBytesMax: number;
  readonly streamTimeoutMs: number;
  readonly handlers: TcpHandlers;
  readonly onPacket: (from: string, bytes: Uint8Array) => void;
}

/**
 * Binds UDP and TCP to the same port.
 *
 * @throws SwimError SWIM_ERR_ADDRESS_IN_USE or SWIM_ERR_ADDRESS_INVALID; nothing stays bound
 */
export async function bindTransports(options: BindOptions): Promise<BoundTransports> {
  const { host, port } = parseAddress(options.listen);
  for (let attempt = 1; ; attempt += 1) {
    try {
      const ip = isIP(host) === 0 ? (await lookup(host, { family: 4 })).address : host;
      return await bindOnce(options, ip, port);
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
  options: BindOptions,
  ip: string,
  wantedPort: number,
): Promise<BoundTransports> {
  const { streamBytesMax, streamTimeoutMs, handlers, onPacket } = options;
  const resolver = new Resolver(ip.includes(':') ? 6 : 4);
  const tcp = await TcpTransport.listen({
    ip,
    port: wantedPort,
    resolver,
    streamBytesMax,
    streamTimeoutMs,
    handlers,
  });
  try {
    const udp = await UdpTransport.bind({ ip, port: tcp.port, resolver, onPacket });
    return { udp, tcp, ip, port: tcp.port };
  } catch (error) {
    tcp.close();
    throw error;
  }
}

const ATTEMPTS_MAX = 16;
const ADDRESS_CODES = new Set(['EADDRNOTAVAIL', 'EACCES', 'ENOTFOUND', 'EAI_AGAIN', 'EINVAL']);
