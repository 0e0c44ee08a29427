/**
 * What a node counts, as plain numbers.
 *
 * The cores add to these fields in place; nothing else happens on the hot path. `edge/admin/metrics.ts`
 * reads them at each scrape. Counters only rise while a process lives; gauges are values of
 * now and are marked so.
 */

/** One number per QoS 0, 1, 2. */
export type PerQos = [number, number, number];

export interface Counters {
  /** PUBLISH packets from clients. */
  readonly publishesReceived: PerQos;
  /** PUBLISH packets to clients, at their QoS, resent ones included. */
  readonly messagesDelivered: PerQos;
  /** QoS 0 messages not sent to a client too slow to take them. */
  messagesDropped: number;
  /** Gauge: bytes of publishes and other requests of clients of this node that are not answered yet. */
  publishBytes: number;
  /** Gauge: bytes that wait for clients of this node, in sockets and as messages. */
  clientBytes: number;
  /** Connections ended because they did not read while publishers waited for them. */
  slowReaders: number;
  /** PUBLISH packets answered with an error: every matching queue is full, or the topic is too deep. */
  publishesRefused: number;
  mqttBytesReceived: number;
  mqttBytesSent: number;

  /** Packets from clients, of any type. */
  packetsReceived: number;
  packetsSent: number;
  /** Bytes of payloads of PUBLISH packets from clients. */
  payloadBytesReceived: number;
  payloadBytesSent: number;
  /** Connections that clients have opened, before MQTT begins on them. */
  accepted: number;
  /** Gauge: clients that have had CONNACK, and are connected. */
  clientsConnected: number;
  /** Gauge: the most of them at once since the start. */
  clientsMaximum: number;
  /** Gauge: subscriptions of the connections of this node. */
  subscriptions: number;
  /** Gauge: those that are Shared Subscriptions. */
  sharedSubscriptions: number;
  /** CONNECT refused for what the client says of who it is. */
  authenticationFailures: number;
  /** Wills, publishes and subscriptions refused for what the client may do. */
  authorizationFailures: number;
  /** Messages not sent to a client that may not receive them any more. */
  deliveriesDenied: number;

  connects: number;
  /** CONNECT answered by a CONNACK with an error, or no CONNECT in time. */
  connectsRefused: number;
  /** Connections ended by DISCONNECT. */
  disconnects: number;
  /** Connections that ended without DISCONNECT. */
  connectionsLost: number;
  /** Connections without stored session closed since others gave this node up and published on. */
  connectionsMissed: number;
  /** Connections closed because the Client Identifier connected again. */
  takeovers: number;
  /** Gauge: connections at their PROXY header, TLS handshake or WebSocket upgrade. */
  handshakesUnderWay: number;
  /** Connections that ended there. */
  handshakesFailed: number;
  /** Gauge: connections beyond `limits.connections` that are held until their CONNECT is refused. */
  connectionsExcess: number;
  /** Connections beyond the bounds of node or listener. */
  connectionsOverLimit: number;
  /** Packets that broke the specification and cost their connection. */
  malformedPackets: number;
  /** Gauge: connections of this node. */
  connections: number;

  /** Gauge: sessions in shards that this node leads. */
  sessions: number;
  /** Gauge: those that outlive their connection. */
  sessionsPersistent: number;
  /** Gauge: those whose client is away. */
  sessionsDisconnected: number;
  sessionsExpired: number;
  /** Gauge: messages queued in shards that this node leads. */
  queuedMessages: number;
  /** Gauge: bytes queued in shards that this node holds, a message for many sessions once. */
  queuedBytes: number;
  /** Gauge: bytes of Topic Filters of this node's connections and of sessions in shards that it holds. */
  filterBytes: number;
  /** Characters of the topics that Topic Aliases of all connections stand for. */
  aliasCharacters: number;
  /** Messages refused for one session because its queue, or the node's, was full. */
  queueRefused: number;
  /** Messages refused for a group because its queue, or the node's, was full. */
  sharedRefused: number;
  /** Messages of groups that went back to them from a member: not acknowledged, or never sent. */
  sharedReturned: number;
  /** Messages of groups that the member refused. */
  sharedDiscarded: number;
  /** Messages of groups at QoS 2 that ended with their member's session. */
  sharedEnded: number;
  /** Messages that waited for a group when its last subscription ended. */
  sharedDropped: number;
  /** Gauge: retained messages in shards that this node leads. */
  retained: number;
  /** Messages that were not retained because their shard holds as many as it may. */
  retainedRefused: number;
  willsFired: number;
  /** Gauge: Topic Filters that this node routes by. */
  routes: number;
  /** Gauge: 1 while all QoS 1 and 2 publishes of this node wait for a route grant. */
  publishesPaused: number;
  /** For how long they have waited, all in all. */
  publishesPausedMs: number;
  /** Gauge: age of the oldest route grant of those that publishes need. */
  grantAgeMs: number;

  /** Elections that this node began. */
  elections: number;
  /** Views that this node established as leader. */
  viewsEstablished: number;
  /** Times that a view was formed without a copy that was heard and did not answer in time. */
  copiesTooSlow: number;
  /** Gauge: shards that this node leads. */
  shardsLed: number;
  /** Gauge: shards that this node holds a copy of. */
  shardsHeld: number;
  /** Gauge: shards that this node leads with fewer copies than wanted. */
  underReplicated: number;
  /** Gauge: shards of the cluster that no leader in reach of this node serves. */
  shardsUnled: number;
  /** Gauge: persistent sessions in shards with one copy left though more are wanted. */
  sessionsAtRisk: number;
  entriesCommitted: number;
  /** Append to commit, on the leader. */
  readonly commitLatency: LatencyHistogram;

  fsyncs: number;
  readonly fsyncLatency: LatencyHistogram;
  storeBytesWritten: number;

  linkFramesSent: number;
  linkFramesReceived: number;
  linkBytesSent: number;
  linkBytesReceived: number;
  /** Links to peers that went down. */
  linkResets: number;
  /** Connections to the cluster port that came to no link: no key, no HELLO, or another's. */
  linksRefused: number;

  /** Gauges: members by state, self included. */
  readonly members: { alive: number; suspect: number; faulty: number; stopped: number };
  /** Gauge: members that say of themselves that their main loop or disk hangs. */
  membersUnwell: number;
  /** Gauge: 1 while /ready answers 200. */
  ready: number;
}

/** All zero. */
export function createCounters(): Counters {
  return {
    publishesReceived: [0, 0, 0],
    messagesDelivered: [0, 0, 0],
    messagesDropped: 0,
    publishBytes: 0,
    clientBytes: 0,
    slowReaders: 0,
    publishesRefused: 0,
    mqttBytesReceived: 0,
    mqttBytesSent: 0,
    packetsReceived: 0,
    packetsSent: 0,
    payloadBytesReceived: 0,
    payloadBytesSent: 0,
    accepted: 0,
    clientsConnected: 0,
    clientsMaximum: 0,
    subscriptions: 0,
    sharedSubscriptions: 0,
    authenticationFailures: 0,
    authorizationFailures: 0,
    deliveriesDenied: 0,
    connects: 0,
    connectsRefused: 0,
    disconnects: 0,
    connectionsLost: 0,
    connectionsMissed: 0,
    handshakesUnderWay: 0,
    handshakesFailed: 0,
    connectionsExcess: 0,
    connectionsOverLimit: 0,
    takeovers: 0,
    malformedPackets: 0,
    connections: 0,
    sessions: 0,
    sessionsPersistent: 0,
    sessionsDisconnected: 0,
    sessionsExpired: 0,
    queuedMessages: 0,
    queuedBytes: 0,
    filterBytes: 0,
    aliasCharacters: 0,
    queueRefused: 0,
    sharedRefused: 0,
    sharedReturned: 0,
    sharedDiscarded: 0,
    sharedEnded: 0,
    sharedDropped: 0,
    retained: 0,
    retainedRefused: 0,
    willsFired: 0,
    routes: 0,
    publishesPaused: 0,
    publishesPausedMs: 0,
    grantAgeMs: 0,
    elections: 0,
    viewsEstablished: 0,
    copiesTooSlow: 0,
    shardsLed: 0,
    shardsHeld: 0,
    underReplicated: 0,
    shardsUnled: 0,
    sessionsAtRisk: 0,
    entriesCommitted: 0,
    commitLatency: new LatencyHistogram(),
    fsyncs: 0,
    fsyncLatency: new LatencyHistogram(),
    storeBytesWritten: 0,
    linkFramesSent: 0,
    linkFramesReceived: 0,
    linkBytesSent: 0,
    linkBytesReceived: 0,
    linkResets: 0,
    linksRefused: 0,
    members: { alive: 0, suspect: 0, faulty: 0, stopped: 0 },
    membersUnwell: 0,
    ready: 0,
  };
}

/**
 * Counts durations in 17 buckets that double: ≤ 0.125 ms, ≤ 0.25 ms, … ≤ 4096 ms, and beyond.
 *
 * Fixed memory, no allocation in `observe`. Not the histogram of Node.js: a core has no `node:*`, and that one
 * gives percentiles, while Prometheus wants the exact number below each bound.
 */
export class LatencyHistogram {
  /** Upper bounds of all buckets but the last, which has none. */
  static readonly boundsMs: readonly number[] = Array.from({ length: 16 }, (_, i) => 2 ** (i - 3));

  readonly counts: Float64Array = new Float64Array(LatencyHistogram.boundsMs.length + 1);
  count = 0;
  sumMs = 0;

  /** @param durationMs 0 or more */
  observe(durationMs: number): void {
    let bucket = 0;
    for (let bound = 0.125; bucket < 16 && durationMs > bound; bound *= 2) bucket++;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.count++;
    this.sumMs += durationMs;
  }
}
