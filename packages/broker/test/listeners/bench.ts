/** A listener with what it logs and whom it has accepted, for tests of one transport. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { parseAddress } from '@shoal/swim';
import type { ListenerConfig } from '../../src/config-listener.ts';
import type {
  Listener,
  ListenerOptions,
  OpeningOptions,
} from '../../src/edge/listeners/listener.ts';
import { startListener } from '../../src/edge/listeners/transports.ts';
import type { ClientHandler, ClientSocket } from '../../src/ports.ts';

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

/** One accepted client, which is sent back what it sends. */
export class Accepted implements ClientHandler {
  readonly socket: ClientSocket;
  received = Buffer.alloc(0);
  closed = false;
  echoes = true;

  constructor(socket: ClientSocket) {
    this.socket = socket;
  }

  onData(buffer: Uint8Array, start: number, end: number): void {
    const bytes = Buffer.from(buffer.subarray(start, end));
    this.received = Buffer.concat([this.received, bytes]);
    if (this.echoes) this.socket.write(bytes);
  }

  onClosed(): void {
    this.closed = true;
  }

  onSecond(): void {}
  onDrain(): void {}
}

export class ListenerBench {
  readonly accepted: Accepted[] = [];
  readonly lines: { readonly level: string; readonly text: string; readonly fields: string }[] = [];
  readonly counters = { handshakesUnderWay: 0, handshakesFailed: 0 };
  readonly #sockets: Socket[] = [];
  listener!: Listener;

  async start(
    config: Omit<ListenerConfig, 'name' | 'address'> & { readonly address?: string },
    opening: Partial<OpeningOptions> = {},
    more: Partial<ListenerOptions> = {},
  ): Promise<void> {
    this.listener = await startListener(
      { name: 'test', address: '127.0.0.1:0', ...config },
      {
        maxConnections: 100,
        log: (level, text, fields) =>
          this.lines.push({ level, text, fields: JSON.stringify(fields) }),
        onConnection: (socket) => {
          const accepted = new Accepted(socket);
          this.accepted.push(accepted);
          return accepted;
        },
        opening: {
          handshakesMax: 100,
          handshakeTimeoutMs: 60_000,
          counters: this.counters,
          ...opening,
        },
        ...more,
      },
    );
  }

  get port(): number {
    return parseAddress(this.listener.address).port;
  }

  /** A socket that is connected. */
  async socket(): Promise<Socket> {
    const { address } = this.listener;
    const socket = address.startsWith('/') ? connect(address) : connect(parseAddress(address));
    this.keep(socket);
    await once(socket, 'connect');
    return socket;
  }

  /** Destroys it at the end of the test. */
  keep<T extends Socket>(socket: T): T {
    socket.on('error', () => {});
    this.#sockets.push(socket);
    return socket;
  }

  /** Texts of the log with their fields. */
  get log(): string[] {
    return this.lines.map(({ level, text, fields }) => `${level} ${text} ${fields}`);
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets.splice(0)) socket.destroy();
    await this.listener?.close();
  }
}

/** All that comes until the other side ends. */
export async function untilEnd(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await Promise.race([once(socket, 'end'), once(socket, 'close')]);
  return Buffer.concat(chunks);
}
