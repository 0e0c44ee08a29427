/** The topics of `$SYS`, by the names that mosquitto gave them, and where each value comes from. */
import type { Counters, PerQos } from '../../counters.ts';
import { LOAD_MINUTES, type Load } from './sys-load.ts';

/** What is known of a node at one moment. */
export interface SysFacts {
  /** With gauges as of now. */
  readonly counters: Counters;
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly heapBytes: number;
  /** Of the cluster. */
  readonly shards: number;
  readonly underReplicated: number;
}

const sum = ([zero, one, two]: PerQos): number => zero + one + two;

/** Events whose rate is averaged, by the part of their topics behind `$SYS/broker/load/`. */
export const LOADS: Readonly<Record<string, (c: Counters) => number>> = {
  'messages/received': (c) => c.packetsReceived,
  'messages/sent': (c) => c.packetsSent,
  'publish/dropped': (c) => c.messagesDropped,
  'publish/received': (c) => sum(c.publishesReceived),
  'publish/sent': (c) => sum(c.messagesDelivered),
  'bytes/received': (c) => c.mqttBytesReceived,
  'bytes/sent': (c) => c.mqttBytesSent,
  sockets: (c) => c.accepted,
  connections: (c) => c.connects,
};

type Reading = (facts: SysFacts) => string | number;

const BROKER: Readonly<Record<string, Reading>> = {
  version: ({ version }) => `shoal version ${version}`,
  uptime: ({ uptimeSeconds }) => `${uptimeSeconds} seconds`,
  'clients/connected': ({ counters }) => counters.clientsConnected,
  'clients/disconnected': ({ counters }) => counters.sessionsDisconnected,
  'clients/total': ({ counters }) => counters.clientsConnected + counters.sessionsDisconnected,
  'clients/maximum': ({ counters }) => counters.clientsMaximum,
  'clients/expired': ({ counters }) => counters.sessionsExpired,
  'messages/received': ({ counters }) => counters.packetsReceived,
  'messages/sent': ({ counters }) => counters.packetsSent,
  'messages/stored': ({ counters }) => counters.queuedMessages + counters.retained,
  'store/messages/count': ({ counters }) => counters.queuedMessages + counters.retained,
  'store/messages/bytes': ({ counters }) => counters.queuedBytes,
  'retained messages/count': ({ counters }) => counters.retained,
  'subscriptions/count': ({ counters }) => counters.subscriptions,
  'shared_subscriptions/count': ({ counters }) => counters.sharedSubscriptions,
  'publish/messages/received': ({ counters }) => sum(counters.publishesReceived),
  'publish/messages/sent': ({ counters }) => sum(counters.messagesDelivered),
  'publish/messages/dropped': ({ counters }) => counters.messagesDropped,
  'publish/bytes/received': ({ counters }) => counters.payloadBytesReceived,
  'publish/bytes/sent': ({ counters }) => counters.payloadBytesSent,
  'bytes/received': ({ counters }) => counters.mqttBytesReceived,
  'bytes/sent': ({ counters }) => counters.mqttBytesSent,
  'heap/current': ({ heapBytes }) => heapBytes,
};

/** The cluster as this node sees it. */
const CLUSTER: Readonly<Record<string, Reading>> = {
  'members/alive': ({ counters }) => counters.members.alive,
  'members/suspect': ({ counters }) => counters.members.suspect,
  'members/faulty': ({ counters }) => counters.members.faulty,
  'members/stopped': ({ counters }) => counters.members.stopped,
  'members/unwell': ({ counters }) => counters.membersUnwell,
  'shards/count': ({ shards }) => shards,
  'shards/without_leader': ({ counters }) => counters.shardsUnled,
  'shards/under_replicated': ({ underReplicated }) => underReplicated,
  'shards/led': ({ counters }) => counters.shardsLed,
  'shards/held': ({ counters }) => counters.shardsHeld,
  'sessions/at_risk': ({ counters }) => counters.sessionsAtRisk,
  'publishes/paused': ({ counters }) => counters.publishesPaused,
};

/** Every topic with its value as text. */
export function* sysValues(
  facts: SysFacts,
  loads: ReadonlyMap<string, Load>,
): Generator<readonly [topic: string, value: string]> {
  for (const [name, read] of Object.entries(BROKER))
    yield [`$SYS/broker/${name}`, `${read(facts)}`];
  for (const [name, { perMinute }] of loads)
    for (const [i, minutes] of LOAD_MINUTES.entries())
      yield [`$SYS/broker/load/${name}/${minutes}min`, perMinute[i]!.toFixed(2)];
  for (const [name, read] of Object.entries(CLUSTER))
    yield [`$SYS/cluster/${name}`, `${read(facts)}`];
}
