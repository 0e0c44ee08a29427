import type { ClientHandler, ClientSocket, ListenerRules, Log } from '../../ports.ts';

/**
 * Accepts clients by one transport. test/contract/listener.ts is the suite that every listener passes.
 *
 * ```
 *   started: the address is taken, clients are turned away ──open──▶ accepts ──close──▶ closed
 * ```
 */
export interface Listener {
  /** Where clients connect, as bound. */
  readonly address: string;
  /** Connections held, those that are opening or closing included, those beyond the bounds not. */
  readonly count: number;
  /** From now on clients are welcome. */
  open(): void;
  /** Sends what was written, now instead of at the end of the turn. Not for use within a handler. */
  flush(): void;
  /** Reads its files again, and uses what is new for connections that come from now on. Never throws. */
  reload(): Promise<void>;
  /** Stops accepting, closes every connection after what it was sent, and waits for their end. */
  close(): Promise<void>;
}

/** What a listener counts of connections that are not ready for MQTT yet; shared by those of a node. */
export interface OpeningCounters {
  /** Gauge: connections at their PROXY header, TLS handshake or WebSocket upgrade. */
  handshakesUnderWay: number;
  /** Connections that ended there, were turned away for too many of them, or took too long. */
  handshakesFailed: number;
}

/** What a listener counts of connections beyond the bounds; shared by those of a node. */
export interface ExcessCounters {
  /** Gauge: those that are held until their CONNECT can be refused. */
  connectionsExcess: number;
  /** All of them, also those closed at once. */
  connectionsOverLimit: number;
}

/** What a listener of any transport is given. */
export interface ListenerOptions {
  /** A client connected. Called once per connection; what it returns hears of it from then on. */
  readonly onConnection: (socket: ClientSocket) => ClientHandler;
  /**
   * A connection beyond it is accepted as {@link ClientSocket.isExcess}, and closed at once where too many
   * such are held.
   */
  readonly maxConnections: number;
  /** As `maxConnections`, for this listener alone; default no other bound. */
  readonly ownConnectionsMax?: number | undefined;
  readonly rules?: ListenerRules | undefined;
  readonly excess?: ExcessCounters;
  /** Connections that count towards `maxConnections` and are not this listener's; default none. */
  readonly othersCount?: () => number;
  readonly log: Log;
  /** Told of every change of the bytes that the kernel has not taken yet, of all connections. */
  readonly onPending?: (changeBytes: number) => void;
  /** False: the address is taken, and who comes is turned away until {@link Listener.open}. */
  readonly isOpen?: boolean;
  /** Bounds of what stands between a socket and MQTT. */
  readonly opening?: OpeningOptions;
  /** Largest MQTT packet that a client may send; a WebSocket message may be little larger. */
  readonly maxPacketBytes?: number;
}

export interface OpeningOptions {
  /** Connections of the node under way at once; further ones are closed. */
  readonly handshakesMax: number;
  /** Time for all of it: PROXY header, TLS handshake and WebSocket upgrade. */
  readonly handshakeTimeoutMs: number;
  readonly counters: OpeningCounters;
}
