/**
 * Prometheus metrics, read from {@link Counters} at each scrape.
 *
 * One table says name, type, help and where the number comes from; docs/METRICS.md is printed from
 * it. prom-client is loaded at the first scrape: a node that is never scraped does not pay for it.
 */

import type { Metric, Registry } from 'prom-client';
import type { Counters } from '../../counters.ts';
import { counter, gauge, histogram, type MetricDefinition, perQos } from './metric-definition.ts';
import { EVENT_LOOP_METRICS, type EventLoopLag, EventLoopWatch } from './metrics-event-loop.ts';
import { SWIM_METRICS, type SwimSource } from './metrics-swim.ts';

/** Every metric of Shoal's own, in the order of the reference. */
export const METRICS: readonly MetricDefinition[] = [
  gauge('shoal_ready', '1 while /ready answers 200.', (c) => c.ready),
  {
    name: 'shoal_members',
    type: 'gauge',
    help: 'Members as this node sees them, itself included.',
    labels: ['state'],
    read: ({ members }) =>
      Object.entries(members).map(([state, value]) => ({ value, labels: { state } })),
  },
  gauge(
    'shoal_members_unwell',
    'Members that say of themselves that their main loop or disk hangs.',
    (c) => c.membersUnwell,
  ),

  gauge('shoal_mqtt_connections', 'MQTT connections of this node.', (c) => c.connections),
  counter(
    'shoal_mqtt_accepted_total',
    'Connections of clients on which MQTT could begin.',
    (c) => c.accepted,
  ),
  gauge(
    'shoal_mqtt_clients_connected',
    'Clients that are connected: their CONNECT is accepted.',
    (c) => c.clientsConnected,
  ),
  gauge(
    'shoal_mqtt_clients_maximum',
    'The most of them at once since the start.',
    (c) => c.clientsMaximum,
  ),
  gauge(
    'shoal_mqtt_subscriptions',
    'Subscriptions of connections of this node.',
    (c) => c.subscriptions,
  ),
  gauge(
    'shoal_mqtt_shared_subscriptions',
    'Those of them that are Shared Subscriptions.',
    (c) => c.sharedSubscriptions,
  ),
  gauge(
    'shoal_mqtt_handshakes_under_way',
    'Connections at their PROXY header, TLS handshake or WebSocket upgrade (`limits.handshakes`).',
    (c) => c.handshakesUnderWay,
  ),
  counter(
    'shoal_mqtt_handshakes_failed_total',
    'Connections that ended there: malformed, refused, too many, or too slow.',
    (c) => c.handshakesFailed,
  ),
  counter(
    'shoal_mqtt_connections_over_limit_total',
    'Connections beyond `limits.connections` or `maxConnections` of their listener: refused at CONNECT (0x97), or closed at once.',
    (c) => c.connectionsOverLimit,
  ),
  gauge(
    'shoal_mqtt_connections_excess',
    'Connections of these that are held until their CONNECT can be refused.',
    (c) => c.connectionsExcess,
  ),
  counter('shoal_mqtt_connects_total', 'CONNECT packets accepted.', (c) => c.connects),
  counter(
    'shoal_mqtt_connects_refused_total',
    'Connections refused at CONNECT or without one in time.',
    (c) => c.connectsRefused,
  ),
  counter('shoal_mqtt_disconnects_total', 'Connections ended by DISCONNECT.', (c) => c.disconnects),
  counter(
    'shoal_mqtt_connections_lost_total',
    'Connections that ended without DISCONNECT.',
    (c) => c.connectionsLost,
  ),
  counter(
    'shoal_mqtt_connections_missed_total',
    'Connections closed because they missed messages while this node hung or was cut off.',
    (c) => c.connectionsMissed,
  ),
  counter(
    'shoal_mqtt_takeovers_total',
    'Connections closed because the Client Identifier connected again.',
    (c) => c.takeovers,
  ),
  counter(
    'shoal_mqtt_malformed_packets_total',
    'Packets that broke the specification and cost their connection.',
    (c) => c.malformedPackets,
  ),
  perQos(
    'shoal_mqtt_publishes_received_total',
    'PUBLISH packets from clients.',
    (c) => c.publishesReceived,
  ),
  perQos(
    'shoal_mqtt_messages_delivered_total',
    'PUBLISH packets to clients, resent ones included.',
    (c) => c.messagesDelivered,
  ),
  counter(
    'shoal_mqtt_messages_dropped_total',
    'QoS 0 messages not sent to a client, or to another node, too slow to take them.',
    (c) => c.messagesDropped,
  ),
  gauge(
    'shoal_mqtt_unanswered_bytes',
    'Bytes of publishes and other requests of clients that are not answered yet (`limits.nodePublishBytes`).',
    (c) => c.publishBytes,
  ),
  gauge(
    'shoal_mqtt_waiting_bytes',
    'Bytes that wait for clients, in sockets and as messages (`limits.nodeBufferBytes`).',
    (c) => c.clientBytes,
  ),
  counter(
    'shoal_mqtt_slow_readers_total',
    'Connections ended because they did not read while publishers waited for them.',
    (c) => c.slowReaders,
  ),
  counter(
    'shoal_mqtt_publishes_refused_total',
    'PUBLISH packets answered with an error: full queues, or a topic too deep.',
    (c) => c.publishesRefused,
  ),
  counter(
    'shoal_mqtt_packets_received_total',
    'Packets from clients, of any type.',
    (c) => c.packetsReceived,
  ),
  counter('shoal_mqtt_packets_sent_total', 'Packets to clients.', (c) => c.packetsSent),
  counter(
    'shoal_mqtt_payload_received_bytes_total',
    'Bytes of payloads of PUBLISH packets from clients.',
    (c) => c.payloadBytesReceived,
  ),
  counter(
    'shoal_mqtt_payload_sent_bytes_total',
    'Bytes of payloads of PUBLISH packets to clients.',
    (c) => c.payloadBytesSent,
  ),
  counter(
    'shoal_mqtt_authentication_failures_total',
    'CONNECT refused for what the client says of who it is.',
    (c) => c.authenticationFailures,
  ),
  counter(
    'shoal_mqtt_authorization_failures_total',
    'Wills, publishes and subscriptions refused for what the client may do.',
    (c) => c.authorizationFailures,
  ),
  counter(
    'shoal_mqtt_deliveries_denied_total',
    'Messages not sent to a client that may not receive them.',
    (c) => c.deliveriesDenied,
  ),
  counter('shoal_mqtt_received_bytes_total', 'Bytes from clients.', (c) => c.mqttBytesReceived),
  counter('shoal_mqtt_sent_bytes_total', 'Bytes to clients.', (c) => c.mqttBytesSent),

  gauge('shoal_sessions', 'Sessions in shards that this node leads.', (c) => c.sessions),
  gauge(
    'shoal_sessions_persistent',
    'Sessions that outlive their connection, in shards that this node leads.',
    (c) => c.sessionsPersistent,
  ),
  gauge(
    'shoal_sessions_disconnected',
    'Sessions whose client is away, in shards that this node leads.',
    (c) => c.sessionsDisconnected,
  ),
  gauge(
    'shoal_sessions_at_risk',
    'Persistent sessions with one copy left though more are wanted.',
    (c) => c.sessionsAtRisk,
  ),
  counter('shoal_sessions_expired_total', 'Sessions ended by expiry.', (c) => c.sessionsExpired),
  gauge(
    'shoal_queued_messages',
    'Messages queued in shards that this node leads.',
    (c) => c.queuedMessages,
  ),
  gauge(
    'shoal_queued_bytes',
    'Bytes queued in shards that this node holds, a message for many sessions once (`limits.nodeQueueBytes`).',
    (c) => c.queuedBytes,
  ),
  gauge(
    'shoal_filter_bytes',
    'Bytes of Topic Filters of connections and of sessions in shards that this node holds (`limits.nodeSubscriptionBytes`).',
    (c) => c.filterBytes,
  ),
  gauge(
    'shoal_mqtt_alias_characters',
    'Characters of the topics that Topic Aliases of all connections stand for.',
    (c) => c.aliasCharacters,
  ),
  counter(
    'shoal_queue_refused_total',
    'Messages refused for a session because its queue was full.',
    (c) => c.queueRefused,
  ),
  counter(
    'shoal_shared_refused_total',
    'Messages refused for a Shared Subscription because as many as may be wait for its members.',
    (c) => c.sharedRefused,
  ),
  counter(
    'shoal_shared_returned_total',
    'Messages of Shared Subscriptions that went back from a member: not acknowledged, or never sent.',
    (c) => c.sharedReturned,
  ),
  counter(
    'shoal_shared_discarded_total',
    'Messages of Shared Subscriptions that the member refused by PUBACK or PUBREC, or could not take.',
    (c) => c.sharedDiscarded,
  ),
  counter(
    'shoal_shared_ended_total',
    'Messages of Shared Subscriptions at QoS 2 that ended with the session that they were sent to.',
    (c) => c.sharedEnded,
  ),
  counter(
    'shoal_shared_dropped_total',
    'Messages that waited for a Shared Subscription when its last session ended.',
    (c) => c.sharedDropped,
  ),
  gauge(
    'shoal_retained_messages',
    'Retained messages in shards that this node leads.',
    (c) => c.retained,
  ),
  counter(
    'shoal_retained_refused_total',
    'Messages not retained because their shard held as many as it may.',
    (c) => c.retainedRefused,
  ),
  counter('shoal_wills_fired_total', 'Will Messages published.', (c) => c.willsFired),
  gauge('shoal_routes', 'Topic Filters that this node routes by.', (c) => c.routes),
  gauge(
    'shoal_publishes_paused',
    '1 while all QoS 1 and 2 publishes of this node wait for a member: for its route grant, or for routes that it has announced. If it stays, `shoal cluster status` names the member: check the network between the two, and restart a node that hangs.',
    (c) => c.publishesPaused,
  ),
  counter(
    'shoal_publishes_paused_seconds_total',
    'Seconds in which all QoS 1 and 2 publishes of this node waited for a member. If it grows again and again, look for a member that stalls and for a network that drops packets.',
    (c) => c.publishesPausedMs / 1000,
  ),
  gauge(
    'shoal_route_grant_age_seconds',
    'Age of the oldest route grant that this node needs: 0.1 where all is well; from 4 × `timings.silenceMs` (2) on, publishes are paused. If it stays above 1, check the network to the other nodes, and their load.',
    (c) => c.grantAgeMs / 1000,
  ),

  gauge('shoal_shards_led', 'Shards that this node leads.', (c) => c.shardsLed),
  gauge('shoal_shards_held', 'Shards that this node holds a copy of.', (c) => c.shardsHeld),
  gauge(
    'shoal_shards_under_replicated',
    'Shards that this node leads with fewer copies than wanted.',
    (c) => c.underReplicated,
  ),
  gauge(
    'shoal_shards_unled',
    'Shards of the whole cluster that have had no leader in reach of this node for a second: their sessions wait. Each node counts all of them, so take the maximum. Start the nodes that `shoal cluster status` names.',
    (c) => c.shardsUnled,
  ),
  counter('shoal_elections_total', 'Elections that this node began.', (c) => c.elections),
  counter(
    'shoal_views_established_total',
    'Views that this node established as leader.',
    (c) => c.viewsEstablished,
  ),
  counter(
    'shoal_copies_too_slow_total',
    'Times that this node left a copy out of a shard because its node, though heard, answered too late.',
    (c) => c.copiesTooSlow,
  ),
  counter(
    'shoal_entries_committed_total',
    'Log entries committed in shards that this node leads.',
    (c) => c.entriesCommitted,
  ),
  histogram(
    'shoal_commit_latency_seconds',
    'From append to commit, on the leader.',
    (c) => c.commitLatency,
  ),

  counter('shoal_store_fsyncs_total', 'Synced batches written.', (c) => c.fsyncs),
  histogram(
    'shoal_store_fsync_latency_seconds',
    'From handing over a synced batch until it is durable.',
    (c) => c.fsyncLatency,
  ),
  counter(
    'shoal_store_written_bytes_total',
    'Bytes handed to the store.',
    (c) => c.storeBytesWritten,
  ),

  counter('shoal_link_frames_sent_total', 'Frames to other nodes.', (c) => c.linkFramesSent),
  counter(
    'shoal_link_frames_received_total',
    'Frames from other nodes.',
    (c) => c.linkFramesReceived,
  ),
  counter('shoal_link_sent_bytes_total', 'Bytes to other nodes.', (c) => c.linkBytesSent),
  counter('shoal_link_received_bytes_total', 'Bytes from other nodes.', (c) => c.linkBytesReceived),
  counter('shoal_link_resets_total', 'Links to other nodes that went down.', (c) => c.linkResets),
  counter(
    'shoal_links_refused_total',
    'Connections to the cluster port that came to no link: no key, no HELLO, or not a member’s.',
    (c) => c.linksRefused,
  ),
];

/** What the admin API serves at /metrics. */
export interface MetricsSource {
  readonly contentType: string;
  render(): Promise<string>;
}

const HOUR_MS = 3_600_000;

export class BrokerMetrics implements MetricsSource {
  readonly contentType = 'text/plain; version=0.0.4; charset=utf-8';
  readonly #snapshot: () => Counters;
  readonly #swim: () => SwimSource | undefined;
  readonly #node: string;
  readonly #eventLoop = new EventLoopWatch();
  #lag: EventLoopLag | undefined;
  #current: Counters | undefined;
  #registry: Promise<Registry> | undefined;

  /**
   * @param snapshot brings the gauges up to date and returns the counters; called once a scrape
   * @param node goes onto every sample as the label `node`
   * @param swim what is known of membership; undefined where there is none
   */
  constructor(
    snapshot: () => Counters,
    node: string,
    swim: () => SwimSource | undefined = () => undefined,
  ) {
    this.#snapshot = snapshot;
    this.#swim = swim;
    this.#node = node;
  }

  /** A timer of the process ran so many milliseconds late. */
  onTick(lateMs: number): void {
    this.#eventLoop.record(lateMs);
  }

  /** The text of one scrape, with the process's own metrics (CPU, memory, event loop) at the end. */
  async render(): Promise<string> {
    this.#registry ??= this.#load();
    const registry = await this.#registry;
    this.#lag = await this.#eventLoop.take();
    this.#current = this.#snapshot();
    return registry.metrics();
  }

  async #load(): Promise<Registry> {
    const { collectDefaultMetrics, Registry, Counter, Gauge } = await import('prom-client');
    const registry = new Registry();
    registry.setDefaultLabels({ node: this.#node });
    const add = <Source>(
      { name, help, type, labels, read }: MetricDefinition<Source>,
      source: () => Source | undefined,
    ): void => {
      const samples = () => {
        const now = source();
        return now === undefined ? [] : read(now);
      };
      if (type === 'histogram') {
        // prom-client's counts observations; this one is counted already, so only `get` is needed of it.
        const get = async () => ({ name, help, type, aggregator: 'sum', values: samples() });
        registry.registerMetric({ name, help, get } as unknown as Metric);
        return;
      }
      const metric = { name, help, labelNames: labels, registers: [registry] };
      if (type === 'gauge') {
        new Gauge({
          ...metric,
          collect() {
            this.reset();
            if (labels.length === 0) this.remove();
            for (const sample of samples()) this.set(sample.labels, sample.value);
          },
        });
        return;
      }
      new Counter({
        ...metric,
        collect() {
          // What has no label starts at 0 again, and there may be nothing to tell.
          this.reset();
          if (labels.length === 0) this.remove();
          for (const sample of samples()) this.inc(sample.labels, sample.value);
        },
      });
    };
    for (const definition of METRICS) add(definition, () => this.#current);
    for (const definition of SWIM_METRICS) add(definition, this.#swim);
    const { user, system } = process.cpuUsage();
    // Its monitor of the event loop cannot be left out, and would wake the process each time that it looks.
    collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: HOUR_MS });
    for (const definition of EVENT_LOOP_METRICS) {
      registry.removeSingleMetric(definition.name);
      add(definition, () => this.#lag);
    }
    // It counts from here; what was used before belongs to it, too.
    for (const [name, used] of [
      ['process_cpu_user_seconds_total', user],
      ['process_cpu_system_seconds_total', system],
      ['process_cpu_seconds_total', user + system],
    ] as const) {
      const metric = registry.getSingleMetric(name);
      if (metric instanceof Counter) metric.inc(used / 1e6);
    }
    return registry;
  }
}

/** docs/METRICS.md. */
export function metricsReference(): string {
  const rows = [...METRICS, ...SWIM_METRICS].map(
    ({ name, type, labels, help }) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |`,
  );
  return `# Metrics

Printed from \`packages/broker/src/edge/admin/metrics.ts\` and \`metrics-swim.ts\`; do not edit.

\`GET /metrics\` of the admin API, in the Prometheus text format. Every sample carries the label \`node\`.
Counters start at 0 with the process. Sums over all nodes count each session, queue and shard once,
because only its leader does. The process’s own metrics (\`process_*\`, \`nodejs_*\`) follow.

| name | type | labels | meaning |
|---|---|---|---|
${rows.join('\n')}
`;
}
