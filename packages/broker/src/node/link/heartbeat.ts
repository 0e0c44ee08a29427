/** Heartbeats of a pair of nodes, and the answers to them. */

export interface Heartbeat {
  /** Milliseconds of the sender's monotonic clock. */
  readonly sentMs: number;
  /** Its sender waits for nothing: the answer may come with the next heartbeat. */
  readonly calm: boolean;
}

export interface HeartbeatAck {
  /** That of the heartbeat. */
  readonly sentMs: number;
  readonly grants: boolean;
  /** Announcements that come before the grant counts. */
  readonly after: number;
}
