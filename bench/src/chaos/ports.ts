import dgram from 'node:dgram';
import fs from 'node:fs';
import net from 'node:net';

/**
 * A free port on 127.0.0.1, for TCP and UDP, that stays free while its owner is dead.
 *
 * Ports of the kernel's ephemeral range are left alone: while a node is down, a client's outgoing
 * connection could be given its port, or even connect to itself.
 */
export async function freePort(taken: ReadonlySet<number>): Promise<number> {
  const highest = Math.min(ephemeralLowest() - 1, 65_535);
  const lowest = Math.max(10_000, highest - 20_000);
  for (let tries = 0; tries < 1_000; tries++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest + 1));
    if (!taken.has(port) && (await isFree(port))) return port;
  }
  throw new Error(`no free port between ${lowest} and ${highest}`);
}

function ephemeralLowest(): number {
  try {
    const range = fs.readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
    const lowest = Number.parseInt(range, 10);
    return lowest > 11_000 ? lowest : 32_768;
  } catch {
    return 32_768;
  }
}

async function isFree(port: number): Promise<boolean> {
  return (await canListen(port)) && (await canBind(port));
}

function canListen(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = net.createServer();
  server.once('error', () => resolve(false));
  server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  return promise;
}

function canBind(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = dgram.createSocket('udp4');
  socket.once('error', () => {
    socket.close();
    resolve(false);
  });
  socket.bind(port, '127.0.0.1', () => socket.close(() => resolve(true)));
  return promise;
}
