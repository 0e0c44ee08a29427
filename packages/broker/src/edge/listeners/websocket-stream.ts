import type { Socket } from 'node:net';
import type { RawData, WebSocket } from 'ws';
import type { ByteStream } from './byte-stream.ts';
import type { StreamConnection } from './stream-connection.ts';

/** Close codes of RFC 6455 §7.4.1. */
const NORMAL = 1000;
const UNSUPPORTED_DATA = 1003;

const OPEN = 1;
const BINARY = { binary: true, compress: false } as const;
const EMPTY = new Uint8Array(0);

/**
 * A WebSocket as a stream of bytes: what is written in one turn is one frame, and where frames begin and end
 * means nothing to MQTT [MQTT-6.0.0-2].
 */
export class WebSocketStream implements ByteStream {
  readonly #webSocket: WebSocket;
  readonly #socket: Socket;
  /** The last ping without an answer: earlier ones need none (RFC 6455 §5.5.3). */
  #ping: Buffer | null = null;

  constructor(webSocket: WebSocket, socket: Socket) {
    this.#webSocket = webSocket;
    this.#socket = socket;
    // Also of one that nobody attaches: an error without a listener would end the process.
    webSocket.on('error', () => {});
  }

  attach(connection: StreamConnection, ended: () => void): void {
    const webSocket = this.#webSocket;
    webSocket.on('message', (data: RawData, isBinary: boolean) => {
      if (webSocket.readyState !== OPEN) return;
      const bytes = data as Buffer;
      if (isBinary) return connection.onData(bytes, bytes.length);
      webSocket.close(UNSUPPORTED_DATA, 'MQTT needs binary frames'); // [MQTT-6.0.0-1]
      connection.onEnd();
    });
    webSocket.on('ping', (data: Buffer) => this.#onPing(data));
    // 'close' follows.
    webSocket.on('error', () => connection.onEnd());
    webSocket.on('close', ended);
  }

  get writableLength(): number {
    return this.#socket.writableLength;
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.#socket.remotePort;
  }

  write(bytes: Uint8Array, written?: (error?: Error | null) => void): void {
    if (this.#webSocket.readyState === OPEN) this.#webSocket.send(bytes, BINARY, written);
    else written?.();
  }

  pause(): void {
    this.#webSocket.pause();
  }

  resume(): void {
    this.#webSocket.resume();
  }

  isPaused(): boolean {
    return this.#webSocket.isPaused;
  }

  end(): void {
    this.#webSocket.close(NORMAL);
  }

  destroy(): void {
    this.#webSocket.terminate();
  }

  /** One answer a turn, and none more while the client does not read: a flood of pings is no flood of pongs. */
  #onPing(data: Buffer): void {
    const isDue = this.#ping !== null;
    this.#ping = Buffer.from(data);
    if (!isDue) setImmediate(() => this.#pong());
  }

  #pong(): void {
    if (this.#webSocket.readyState !== OPEN || this.#ping === null) return;
    if (this.#socket.writableLength > 0) {
      this.#socket.write(EMPTY, () => this.#pong());
      return;
    }
    this.#webSocket.pong(this.#ping, false);
    this.#ping = null;
  }
}
