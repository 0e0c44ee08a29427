/** Ports that a node of the demo can have for itself. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

export const LOOPBACK = '127.0.0.1';
/** Below the range from which the system takes ports for outgoing connections (32768 on Linux). */
const FIRST_PORT = 20_000;
const LAST_PORT = 31_999;
const TRIES_MAX = 2_000;

/**
 * Finds ports that are free for TCP and UDP on loopback, and remembers what it gave out.
 *
 * A port is kept for a node that is down between a kill and a restart, which the system would not do
 * for a port of its own choice.
 */
export class FreePorts {
  #next = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));

  /** @throws Error if there is none in 2,000 tries */
  async take(): Promise<number> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const port = this.#next;
      this.#next = port === LAST_PORT ? FIRST_PORT : port + 1;
      if (await isFree(port)) return port;
    }
    throw new Error(`no free port from ${FIRST_PORT} to ${LAST_PORT}`);
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const socket = createSocket('udp4');
  try {
    server.listen(port, LOOPBACK);
    await once(server, 'listening');
    socket.bind(port, LOOPBACK);
    await once(socket, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    if (server.listening) await new Promise((resolve) => server.close(resolve));
    await new Promise<void>((resolve) => socket.close(resolve));
  }
}
