/** The opening handshake of WebSocket on a socket, plain or secure (RFC 6455 §4.2, MQTT 5 §6). */
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { Duplex } from 'node:stream';
import { isLoopback } from '@shoal/swim';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import type { Opened, Opening } from './openings.ts';
import { CLOSE_SECONDS_MAX } from './stream-connection.ts';
import { WebSocketStream } from './websocket-stream.ts';

/** Bytes of the request line and header fields of an upgrade. One request of a connection is parsed. */
const HTTP_HEADER_BYTES_MAX = 8_192;
/** Ends a request without a body. */
const HTTP_END = Buffer.from('\r\n\r\n', 'latin1');

/** Header fields of an upgrade. */
const HTTP_HEADERS_MAX = 64;
/** Bytes of a WebSocket message beyond `limits.maxPacketBytes`, or in all where that is less. */
const WEBSOCKET_MESSAGE_BYTES_MORE = 65_536;
/** Fragments of one WebSocket message; each costs more than its bytes. */
const WEBSOCKET_FRAGMENTS_MAX = 1_024;
/** Bytes that the reads of one WebSocket frame bring on average, at least: each costs as much again to hold. */
const WEBSOCKET_READ_BYTES_MIN = 256;

/** Sub-protocols of MQTT, in order of preference; the second is what 3.1 clients ask for [MQTT-6.0.0-3]. */
const PROTOCOLS = ['mqtt', 'mqttv3.1'];

export interface WebSocketSettings {
  /** Path of the URL; a query is ignored. */
  readonly path: string;
  /**
   * Pages that may connect, by origin (`https://app.example`), or `*`. Empty: pages of this machine. A client that
   * is no browser sends no origin and is not asked.
   */
  readonly origins: readonly string[];
}

export interface WebSocketLayerOptions {
  readonly settings: WebSocketSettings;
  readonly maxPacketBytes: number;
}

/** Options of `ws` that its types do not know yet. */
interface NewerOptions {
  readonly closeTimeout: number;
  readonly maxFragments: number;
  readonly maxBufferedChunks: number;
}

type Done = (opened: Opened) => void;

/** An HTTP server without a port: it is handed sockets, and makes WebSockets of them. */
export class WebSocketLayer {
  readonly #settings: WebSocketSettings;
  readonly #http: Server;
  readonly #webSockets: WebSocketServer;
  /** By socket; `behind` is what has come behind the request. */
  readonly #openings = new WeakMap<Duplex, { opening: Opening; done: Done; behind: Buffer }>();

  constructor({ settings, maxPacketBytes }: WebSocketLayerOptions) {
    this.#settings = settings;
    const maxPayload =
      Math.max(maxPacketBytes, WEBSOCKET_MESSAGE_BYTES_MORE) + WEBSOCKET_MESSAGE_BYTES_MORE;
    const options: ServerOptions & NewerOptions = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      autoPong: false,
      closeTimeout: CLOSE_SECONDS_MAX * 1000,
      maxPayload,
      maxFragments: WEBSOCKET_FRAGMENTS_MAX,
      maxBufferedChunks: Math.ceil(maxPayload / WEBSOCKET_READ_BYTES_MIN),
      handleProtocols: (offered) => PROTOCOLS.find((name) => offered.has(name)) ?? false,
    };
    this.#webSockets = new WebSocketServer(options);
    this.#http = createServer({ maxHeaderSize: HTTP_HEADER_BYTES_MAX, keepAlive: false });
    this.#http.maxHeadersCount = HTTP_HEADERS_MAX;
    for (const event of ['request', 'checkContinue', 'checkExpectation'] as const)
      this.#http.on(event, (request, response) => this.#onRequest(request, response));
    this.#http.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head));
  }

  /**
   * The parser of HTTP is given one request: it would read on to the end of what has come, thousands of requests
   * in 64 KiB, and nothing could run meanwhile.
   */
  readonly finish = (opening: Opening, done: Done): void => {
    const { socket } = opening;
    let read: Buffer = Buffer.alloc(0);
    const onReadable = () => {
      for (;;) {
        const chunk: Buffer | null = socket.read();
        if (chunk === null) return;
        read = Buffer.concat([read, chunk]);
        const bytes = requestBytes(read);
        if (bytes === undefined) continue;
        socket.off('readable', onReadable);
        socket.off('end', onEnd);
        this.#openings.set(socket, { opening, done, behind: read.subarray(bytes) });
        socket.unshift(read.subarray(0, bytes));
        this.#http.emit('connection', socket);
        return;
      }
    };
    const onEnd = () => opening.fail('the client has closed the connection');
    socket.on('readable', onReadable);
    socket.on('end', onEnd);
  };

  #isHere({ url = '' }: IncomingMessage): boolean {
    return url.split('?', 1)[0] === this.#settings.path;
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const status = this.#isHere(request) ? 426 : 404;
    response.writeHead(status, { Connection: 'close', Upgrade: 'websocket' }).end();
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const found = this.#openings.get(socket);
    if (found === undefined) {
      socket.destroy();
      return;
    }
    const refusal = this.#refusal(request);
    if (refusal !== null) {
      const [status, why] = refusal;
      socket.end(
        `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${why.length + 1}\r\n\r\n${why}\n`,
        () => found.opening.fail(`WebSocket upgrade refused: ${why}`),
      );
      return;
    }
    const frames = Buffer.concat([head, found.behind]);
    this.#webSockets.handleUpgrade(request, socket, frames, (webSocket: WebSocket) => {
      const stream = new WebSocketStream(webSocket, found.opening.socket);
      found.done({ stream, attach: (connection, ended) => stream.attach(connection, ended) });
    });
  }

  #refusal(request: IncomingMessage): readonly [status: number, why: string] | null {
    if (!this.#isHere(request)) return [404, `no MQTT here; its path is ${this.#settings.path}`];
    // RFC 6455 §4.2.1: `ws` would take an older one.
    if (request.httpVersion !== '1.1') return [505, 'a WebSocket begins with HTTP/1.1'];
    const { origin, 'sec-websocket-protocol': protocols = '' } = request.headers;
    if (origin !== undefined && !this.#isWelcome(origin))
      return [403, 'pages of this origin may not connect (origins of the listener)'];
    const offered = protocols.split(',').map((name) => name.trim());
    if (!PROTOCOLS.some((name) => offered.includes(name)))
      return [400, 'the sub-protocol must be mqtt'];
    return null;
  }

  #isWelcome(origin: string): boolean {
    const { origins } = this.#settings;
    if (origins.includes('*')) return true;
    if (origins.length > 0) return origins.includes(origin.toLowerCase());
    if (!URL.canParse(origin)) return false;
    return isLoopback(new URL(origin).hostname.replace(/^\[(.*)\]$/, '$1'));
  }
}

/** Bytes of the request that `read` begins with; all of it, if it will be none; undefined if more has to come. */
function requestBytes(read: Buffer): number | undefined {
  const end = read.subarray(0, HTTP_HEADER_BYTES_MAX + HTTP_END.length).indexOf(HTTP_END);
  if (end >= 0) return end + HTTP_END.length;
  const isLetter = read[0]! >= 0x41 && read[0]! <= 0x5a;
  return isLetter && read.length <= HTTP_HEADER_BYTES_MAX ? undefined : read.length;
}
