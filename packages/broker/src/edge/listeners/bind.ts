/** Takes the address of a listener: a port, or the path of a unix socket. */
import { chmodSync, lstatSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { isMainThread } from 'node:worker_threads';
import { formatAddress } from '@shoal/swim';
import { BrokerError } from '../../errors.ts';

/** A peer that is gone without a word is found by the kernel, also where a client asked for no Keep Alive. */
export const KEEP_ALIVE_SECONDS = 60;

/** Connections that the kernel keeps for a listener that is busy. */
const BACKLOG = 4096;

export interface PortPlace {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** An IPv6 wildcard takes no IPv4 clients. */
  readonly ipv6Only?: boolean | undefined;
  /** Several processes share the port. */
  readonly reusePort?: boolean;
}

export interface PathPlace {
  readonly path: string;
  /** Permissions of the socket: who may connect needs to write to it. */
  readonly mode: number;
}

export type Place = PortPlace | PathPlace;

const shownPlace = (place: Place): string =>
  'path' in place ? place.path : formatAddress(place.host, place.port);

/**
 * A server that listens. The socket of a process that ended without removing it is replaced.
 *
 * @param name of the listener, for errors
 * @throws BrokerError BROKER_ERR_ADDRESS_IN_USE, or BROKER_ERR_ADDRESS_UNUSABLE, with its cause
 */
export async function listen(place: Place, name?: string): Promise<Server> {
  const fail = (cause: unknown, detail?: string) => {
    const inUse = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE';
    const prefix = name === undefined ? '' : `listener ${name}: `;
    const text = `${prefix}${shownPlace(place)}${detail === undefined ? '' : `: ${detail}`}`;
    const code = inUse ? 'BROKER_ERR_ADDRESS_IN_USE' : 'BROKER_ERR_ADDRESS_UNUSABLE';
    return new BrokerError(code, text, { cause });
  };
  try {
    return await bind(place);
  } catch (cause) {
    if (!('path' in place) || (cause as NodeJS.ErrnoException).code !== 'EADDRINUSE')
      throw fail(cause);
    let found: string;
    try {
      found = await whatIsAt(place.path);
      if (found === 'stale') {
        rmSync(place.path, { force: true });
        return await bind(place);
      }
    } catch (again) {
      throw fail(again);
    }
    throw fail(cause, found);
  }
}

function bind(place: Place): Promise<Server> {
  const server = createServer({
    noDelay: true,
    allowHalfOpen: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_SECONDS * 1000,
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const done = () => {
      server.removeAllListeners('error');
      try {
        if ('path' in place) chmodSync(place.path, place.mode);
        resolve(server);
      } catch (error) {
        // Thrown here it would end the process.
        server.close();
        reject(error);
      }
    };
    if ('path' in place) {
      // The socket is bound within the call: nobody else may connect before its mode is set.
      const before = isMainThread ? process.umask(0o177) : null;
      server.listen({ path: place.path, backlog: BACKLOG }, done);
      if (before !== null) process.umask(before);
      return;
    }
    const { host, port, ipv6Only = false, reusePort = false } = place;
    server.listen({ host, port, ipv6Only, backlog: BACKLOG, reusePort }, done);
  });
}

/** What holds a path that is taken: words for the error, or `stale`. */
async function whatIsAt(path: string): Promise<string> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return 'stale';
  if (!found.isSocket()) return 'a file that is no socket has this name; remove it';
  const socket = connect(path);
  return await new Promise((resolve) => {
    socket.once('connect', () => {
      socket.destroy();
      resolve('another process listens there');
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) =>
      resolve(
        code === 'ECONNREFUSED' || code === 'ENOENT' ? 'stale' : `connecting fails with ${code}`,
      ),
    );
  });
}

/** HOST:PORT with the port taken, or the path. */
export function boundAddress(server: Server, place: Place): string {
  if ('path' in place) return place.path;
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : place.port;
  return formatAddress(place.host, port);
}
