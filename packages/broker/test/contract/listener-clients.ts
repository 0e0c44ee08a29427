/** Clients of each transport, for the suite of listeners. */
import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { parseAddress } from '@shoal/swim';
import { WebSocket } from 'ws';
import type { ClientEnd } from './client-socket.ts';

/** A client over any stream of Node.js. */
export class StreamClient implements ClientEnd {
  isOver = false;
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
    for (const event of ['end', 'close']) socket.on(event, () => this.#over());
  }

  #over(): void {
    this.isOver = true;
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  stopReading(): void {
    this.#socket.pause();
  }

  read(): void {
    this.#socket.resume();
  }

  finish(): void {
    this.#socket.end();
  }

  leave(): void {
    this.#socket.destroy();
  }
}

/** Bytes of the largest frame that the client below sends. */
const FRAME_BYTES = 60_000;

/** A WebSocket client that sends several frames where it is given many bytes. */
export class WebSocketClient implements ClientEnd {
  isOver = false;
  readonly #webSocket: WebSocket;
  readonly #chunks: Buffer[] = [];

  constructor(webSocket: WebSocket) {
    this.#webSocket = webSocket;
    webSocket.on('error', () => {});
    webSocket.on('message', (data: Buffer) => this.#chunks.push(data));
    webSocket.on('close', () => {
      this.isOver = true;
    });
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += FRAME_BYTES)
      this.#webSocket.send(bytes.subarray(at, at + FRAME_BYTES));
  }

  stopReading(): void {
    this.#webSocket.pause();
  }

  read(): void {
    this.#webSocket.resume();
  }

  finish(): void {
    this.#webSocket.close();
  }

  leave(): void {
    this.#webSocket.terminate();
  }
}

/** Resolves when the client is through, or has been turned away. */
async function settled(emitter: Socket | WebSocket, through: string): Promise<void> {
  await Promise.race([once(emitter, through), once(emitter, 'close')]).catch(() => {});
}

/** @param header sent first, as by a proxy */
export async function connectStream(address: string, header?: Uint8Array): Promise<StreamClient> {
  const socket = address.startsWith('/')
    ? connectSocket(address)
    : connectSocket(parseAddress(address));
  const client = new StreamClient(socket);
  await settled(socket, 'connect');
  if (header !== undefined) socket.write(header);
  return client;
}

/** @param ca PEM text of the server's authority */
export async function connectSecure(
  address: string,
  ca: string,
  header?: Uint8Array,
): Promise<StreamClient> {
  const under = connectSocket(parseAddress(address));
  under.on('error', () => {});
  if (header !== undefined) under.write(header);
  const socket = connectTls({ socket: under, ca, ALPNProtocols: ['mqtt'] });
  const client = new StreamClient(socket);
  await settled(socket, 'secureConnect');
  return client;
}

/** @param ca as above, for `wss` */
export async function connectWeb(
  address: string,
  ca?: string,
  header?: Uint8Array,
): Promise<WebSocketClient> {
  const { port } = parseAddress(address);
  const createConnection = () => {
    const socket =
      ca === undefined
        ? connectSocket(port, '127.0.0.1')
        : connectTls({ host: '127.0.0.1', port, ca });
    if (header !== undefined) socket.write(header);
    return socket;
  };
  const scheme = ca === undefined ? 'ws' : 'wss';
  const options = { createConnection, perMessageDeflate: false, maxPayload: 0 };
  const webSocket = new WebSocket(`${scheme}://127.0.0.1:${port}/mqtt`, 'mqtt', options);
  const client = new WebSocketClient(webSocket);
  await settled(webSocket, 'open');
  return client;
}
