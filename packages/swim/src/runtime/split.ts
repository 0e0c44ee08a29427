/**
 * The two halves of a socket transport, for two threads: TCP listens in one, everything else is in
 * the other.
 */
import { isIP, type Socket } from 'node:net';
import { formatAddress } from '../address.ts';
import type { TransportHandlers, TransportOpener, TransportOptions } from '../transport.ts';
import { bindTo, SocketTransport } from './bind.ts';
import { Resolver } from './resolver.ts';
import { type RequestHead, TcpTransport } from './tcp.ts';
import { UdpTransport } from './udp.ts';

/** Takes a stream in. */
export type OnRequest = TransportHandlers['onRequest'];

/** Where streams go that the listening half took in. */
export type StreamHandlers = Pick<TransportOptions, 'onRequest' | 'requestHead'>;

/** What the listening half is made of. */
export interface ListenOptions {
  /** host:port; port 0 for one that is free for both halves. */
  readonly listen: string;
  readonly streamBytesMax: number;
  readonly streamTimeoutMs: number;
  readonly onRequest: OnRequest;
  readonly requestHead?: RequestHead | undefined;
  /** A connection that does not speak SWIM; as TcpHandlers says. */
  onForeign(socket: Socket, head: Buffer): void;
}

/**
 * The half that listens.
 *
 * @param openOther opens the other half on the address that was bound
 * @throws SwimError SWIM_ERR_ADDRESS_IN_USE, SWIM_ERR_ADDRESS_INVALID, and what `openOther` throws;
 * nothing stays bound
 */
export async function listenForThread(
  options: ListenOptions,
  openOther: (address: string) => Promise<void>,
): Promise<TcpTransport> {
  const { listen, streamBytesMax, streamTimeoutMs } = options;
  return await bindTo(listen, async (ip, port) => {
    const tcp = await TcpTransport.listen({
      ip,
      port,
      resolver: resolverFor(ip),
      streamBytesMax,
      streamTimeoutMs,
      requestHead: options.requestHead,
      handlers: options,
    });
    try {
      await openOther(formatAddress(ip, tcp.port));
    } catch (error) {
      await tcp.close();
      throw error;
    }
    return tcp;
  });
}

/**
 * The half that does not listen: packets, and requests of our own.
 *
 * @param onOpen is given where streams go that the other half took in
 */
export function relayedTransport(onOpen: (handlers: StreamHandlers) => void): TransportOpener {
  return async (options) =>
    await bindTo(options.listen, async (ip, port) => {
      const resolver = resolverFor(ip);
      const { streamBytesMax, onPacket } = options;
      const udp = await UdpTransport.bind({ ip, port, resolver, onPacket });
      const tcp = TcpTransport.client({ resolver, streamBytesMax });
      onOpen(options);
      return new SocketTransport(formatAddress(ip, port), udp, tcp);
    });
}

function resolverFor(ip: string): Resolver {
  return new Resolver(isIP(ip) === 6 ? 6 : 4);
}
