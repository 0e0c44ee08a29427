/** What a connection needs of what carries its bytes: a socket of Node.js, or a WebSocket on one. */
export interface ByteStream {
  /** Bytes written and not taken by the kernel yet; 0 where all were taken at once. */
  readonly writableLength: number;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  /** @param written called when the kernel has taken these bytes */
  write(bytes: Uint8Array, written?: (error?: Error | null) => void): unknown;
  pause(): unknown;
  resume(): unknown;
  isPaused(): boolean;
  /** Nothing more is written; what was written is sent. */
  end(): unknown;
  destroy(): unknown;
}

/** How streams of one transport take bytes. */
export interface StreamKind {
  /**
   * Each write is answered when it is done, because the stream tells only then: TLS tells a pass of the event loop
   * later, and a WebSocket must not be sent an empty frame to learn it.
   */
  readonly answersWrites: boolean;
  /** A write has copied its bytes when it returns. */
  readonly copies: boolean;
}

export const PLAIN_STREAM: StreamKind = { answersWrites: false, copies: false };
