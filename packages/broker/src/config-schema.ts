/**
 * The one schema of the configuration: every key with its type, default, range and meaning.
 *
 * Nothing else states a default. `config.ts` resolves values through it; `config-reference.ts`
 * prints it. A key is dotted (`cluster.replicas`), in a file nested, in the environment
 * `SHOAL_CLUSTER_REPLICAS`.
 */

import assert from 'node:assert/strict';
import { SWIM_SETTINGS } from '@shoal/swim';
import { z } from 'zod';
import { listenText } from './config-listener.ts';
import { LISTENERS_MAX, listener } from './config-listeners.ts';
import { serverOptionKeys } from './config-server-options.ts';
import {
  discoveryType,
  integer,
  key,
  label,
  listenAddress,
  peerAddress,
  SHARED_STRATEGIES,
  sharedStrategies,
} from './config-types.ts';

/**
 * Bytes that the largest MQTT packet may be set to: a message is written to the disks and links of other
 * nodes as one, and one that takes them longer than `timings.silenceMs` costs elections.
 */
const PACKET_BYTES_SET_MAX = 16_777_216;

const section = <T extends z.ZodRawShape>(description: string, shape: T) =>
  z.strictObject(shape).meta({ description });

const powerOfTwo = (from: number, to: number) =>
  integer(from, to).refine((n) => Number.isInteger(Math.log2(n)), 'must be a power of two');

const node = section('Who this node is.', {
  name: key(label(), {
    description:
      'Name of the node, unique in its cluster and fixed for life; the data folder belongs to it.',
    'x-flag': '--node-name',
  }),
  zone: key(label().default('default'), {
    description: 'Failure domain such as a rack or an availability zone; copies spread over zones.',
    'x-flag': '--zone',
  }),
  host: key(label().optional(), {
    description:
      'Failure domain below the zone: one host never holds two copies of a shard. Give nodes that share a machine the same name, so that the loss of the machine costs one copy.',
    'x-flag': '--host',
    'x-default': 'node.name',
  }),
  weight: key(z.number().min(0.1).max(100).default(1), {
    description: 'Share of shards relative to other nodes; 2 holds twice as many as 1.',
  }),
});

const data = section('Where and how this node stores.', {
  dir: key(z.string().min(1).max(4096), {
    description: 'Data folder; made when absent, locked while the node runs.',
    'x-flag': '--data-dir',
  }),
  durability: key(z.enum(['disk', 'memory']).default('disk'), {
    description:
      '`disk` acknowledges once every copy has synced an entry; `memory` once the entry is in every copy’s page cache, which a power cut of all copies loses. Applies when the node founds a cluster; a joiner takes the cluster’s value.',
    'x-flag': '--durability',
  }),
});

const mqtt = section('MQTT for clients.', {
  listeners: key(z.array(listener()).min(1).max(LISTENERS_MAX).optional(), {
    description:
      'Where clients connect. Each listener has a `name` of its own, a `transport` (`tcp`, `tls`, `ws`, `wss` or `unix`) and an `address` (HOST:PORT, where port 0 takes a free one; for `unix` a path); the other fields are [below](#listeners). Off loopback only with `auth.required` or `auth.insecure`. In the environment and in `--set`, the whole list as YAML in one line.',
    'x-default': 'those of `mqtt.listen`',
  }),
  listen: key(z.array(listenText()).max(LISTENERS_MAX).default(['127.0.0.1:1883']), {
    description:
      'Short form: HOST:PORT for a listener of transport `tcp`, or `TRANSPORT://ADDRESS?FIELD=VALUE&…`, as in `tls://:8883?cert=FILE&key=FILE`, `ws://:8080/mqtt` and `unix:///run/shoal/mqtt.sock`; a list repeats its field, no host is 127.0.0.1. The default is for a node without `mqtt.listeners`. Off loopback only with `auth.required` or `auth.insecure`; port 0 takes a free one.',
    'x-flag': '--mqtt-listen',
  }),
  advertise: key(peerAddress().optional(), {
    description: 'Address that clients are referred to (Server Reference).',
    'x-flag': '--mqtt-advertise',
    'x-default': 'the address of the first listener',
  }),
  ...serverOptionKeys,
  sharedStrategy: key(z.enum(SHARED_STRATEGIES).default('round-robin'), {
    description:
      'How a member of a Shared Subscription is chosen for a message; one whose window is full is passed over. Used by the node that leads the shard of group and topic: set it alike on all nodes.',
  }),
  sharedStrategies: key(sharedStrategies().default([]), {
    description:
      'Strategies of single Shared Subscriptions, by share name: `NAME=STRATEGY`. A name stands once.',
  }),
});

const auth = section('Who may use MQTT.', {
  required: key(z.boolean().default(false), {
    description:
      'Whether a client has to give the name and password of a user of the cluster (`shoal user add`). One that gives none is refused (0x87; before MQTT 5, 0x05). Without it clients may come without a name, and a name that one gives is checked once the cluster has a user. Set it alike on all nodes. With it listeners may have addresses off loopback.',
    'x-flag': '--auth-required',
  }),
  insecure: key(z.boolean().default(false), {
    description:
      'Whether listeners may have addresses off loopback though `auth.required` is not set: everybody who reaches them may read and write every message.',
    'x-flag': '--insecure',
  }),
});

const cluster = section('The cluster that this node belongs to.', {
  listen: key(listenAddress().default('127.0.0.1:7700'), {
    description:
      'Address for other nodes: SWIM over UDP and TCP, links over TCP. Off loopback only with `cluster.keyringFile`.',
    'x-flag': '--cluster-listen',
  }),
  advertise: key(peerAddress().optional(), {
    description: 'Address at which other nodes reach this one.',
    'x-flag': '--advertise',
    'x-default': 'the address listened on',
  }),
  keyringFile: key(z.string().min(1).max(4096).optional(), {
    description:
      'Keyring file from `shoal keyring generate` that encrypts the traffic between nodes. The node copies it to its data folder at the first start, and then uses that copy, which follows rotations.',
    'x-flag': '--keyring',
    'x-default': 'that of the data folder, or none',
  }),
  encryption: key(z.enum(['required', 'accept-clear', 'send-clear']).default('required'), {
    description:
      'With a keyring, whether the node refuses clear text, accepts it, or accepts and sends it. To move a running cluster to encryption, set `send-clear` on every node, then `accept-clear`, then `required`.',
  }),
  join: key(z.array(peerAddress()).max(64).default([]), {
    description:
      'Cluster addresses of members to join; any of them may be down, and the node ignores its own. With none and no `cluster.discovery`, an empty data folder founds a new cluster.',
    'x-flag': '--join',
  }),
  discovery: key(z.array(discoveryType()).max(16).default([]), {
    description:
      'Ways to find members to join, tried at the start and repeatedly: `dns:NAME:PORT`, `srv:NAME`, `multicast:GROUP:PORT`, `range:10.0.0.0/24:PORT`, `range+tcp:…`, HOST:PORT. With any, an empty data folder never founds a cluster. See OPERATIONS.',
    'x-flag': '--discover',
  }),
  replicas: key(integer(1, 7).default(3), {
    description:
      'Copies of every shard (R), at most one per host. Applies when the node founds a cluster; a joiner takes the cluster’s value.',
    'x-flag': '--replicas',
  }),
  shards: key(powerOfTwo(16, 16_384).default(1024), {
    description:
      'Shards of a cluster that this node founds: a power of two, at least 10 per member, fixed for life. A joiner takes the cluster’s value.',
  }),
  consistency: key(
    z
      .enum(['consistent', 'available'])
      .default('consistent')
      .refine(
        (mode) => mode === 'consistent',
        '`available` needs the merge of both sides after a split, which this version lacks; use `consistent`',
      ),
    {
      description:
        'What the smaller side of a network split does: `consistent` waits for the larger one.',
    },
  ),
});

const admin = section('The admin API.', {
  listen: key(listenAddress().default('127.0.0.1:7780'), {
    description: 'Address of the admin API, /health, /ready and /metrics. Loopback only.',
    'x-flag': '--admin-listen',
  }),
});

const log = section('The log, as JSON lines on stderr.', {
  level: key(z.enum(['debug', 'info', 'warn', 'error']).default('info'), {
    description: 'Least severe level that is written.',
  }),
});

const limits = section('Bounds, each per node unless it says otherwise.', {
  connections: key(integer(1, 1_000_000).default(16_384), {
    description:
      'MQTT connections; further ones are refused (0x97; before MQTT 5, 0x03), and closed at once where many come. At most the limit of open files less 256: a node with more warns at the start and keeps to that.',
  }),
  handshakes: key(integer(1, 1_000_000).default(1024), {
    description:
      'Connections at their PROXY header, TLS handshake or WebSocket upgrade; the node closes further ones.',
  }),
  maxPacketBytes: key(integer(1024, PACKET_BYTES_SET_MAX).default(1_114_112), {
    description:
      'Largest MQTT packet (Maximum Packet Size); a larger one ends its connection (0x95). The default has room for a payload of 1 MiB beside its topic.',
  }),
  payloadBytes: key(integer(0, PACKET_BYTES_SET_MAX).default(PACKET_BYTES_SET_MAX), {
    description:
      'Largest payload of a message. The node refuses a larger one (0x97 in PUBACK and PUBREC, 0x95 for a Will); at QoS 0 and before MQTT 5 the connection ends. `limits.maxPacketBytes` holds as well.',
  }),
  connectionBufferBytes: key(integer(16_384, 1_073_741_824).default(4_194_304), {
    description:
      'Bytes that wait for a slow client’s socket. Beyond, the node drops and counts QoS 0 messages to it, and QoS 1 and 2 wait.',
  }),
  nodeBufferBytes: key(integer(1_048_576, 1_099_511_627_776).default(268_435_456), {
    description:
      'Bytes that wait for all clients of the node together, in sockets and as messages. Beyond, `connectionBufferBytes` and `liveQueueBytes` are 65,536 for every client.',
  }),
  publishesInFlight: key(integer(1, 65_535).default(1000), {
    description:
      'QoS 1 and 2 publishes of one connection that are not acknowledged yet (Receive Maximum). Beyond, the node does not read the connection.',
  }),
  publishBytesInFlight: key(integer(1024, 1_073_741_824).default(4_194_304), {
    description:
      'Bytes of QoS 1 and 2 publishes of one connection that are not acknowledged yet. Beyond, the node does not read the connection. One larger message passes alone.',
  }),
  nodePublishBytes: key(integer(1_048_576, 1_099_511_627_776).default(268_435_456), {
    description:
      'Bytes of such publishes of all connections of the node. Beyond, the node does not read a connection until its own are acknowledged.',
  }),
  topicAliases: key(integer(0, 65_535).default(64), {
    description:
      'Topic Aliases that one connection may define (Topic Alias Maximum); a further one ends the connection.',
  }),
  topicAliasesSent: key(integer(0, 1024).default(16), {
    description:
      'Topic Aliases that the node defines for one MQTT 5 client that allows so many: for the topics that it is sent most, where an alias saves bytes.',
  }),
  inflightMessages: key(integer(1, 65_535).default(128), {
    description:
      'QoS 1 and 2 messages in flight to one client, even if its Receive Maximum is higher.',
  }),
  inflightBytes: key(integer(1024, 1_073_741_824).default(4_194_304), {
    description:
      'Bytes of messages in flight to one client from its stored session; one larger message passes alone.',
  }),
  liveQueueMessages: key(integer(0, 1_000_000).default(10_000), {
    description:
      'QoS 1 and 2 messages that wait for a client whose session ends with its connection, besides those in flight. Beyond, publishers wait for the client, and the node disconnects it (0x97) if it does not read for `timings.slowReaderMs`.',
  }),
  liveQueueBytes: key(integer(0, 1_073_741_824).default(8_388_608), {
    description:
      'Bytes of those messages, with the same effect. Unless set, at least eight times `limits.maxPacketBytes`.',
  }),
  sessionQueueMessages: key(integer(1, 10_000_000).default(100_000), {
    description:
      'Messages queued for one session, and of one Shared Subscription in each shard. It refuses further ones, which are counted, and keeps those queued.',
  }),
  sessionQueueBytes: key(integer(65_536, 1_099_511_627_776).default(1_073_741_824), {
    description:
      'Bytes of those messages, with the filters of the Shared Subscriptions that they wait for. Further ones are refused (0x97 if no other session gets them) and counted, and those queued are kept.',
  }),
  nodeQueueBytes: key(integer(1_048_576, 1_125_899_906_842_624).default(68_719_476_736), {
    description:
      'Bytes queued in all shards that the node holds; a message for many sessions counts once. Beyond, the shards that it leads refuse and count further messages as above.',
  }),
  clientIdBytes: key(integer(23, 65_535).default(65_535), {
    description:
      'Bytes of a Client Identifier. The node refuses a CONNECT with a longer one (0x85; before MQTT 5, 0x02).',
  }),
  sessionExpiryMaxSeconds: key(integer(0, 4_294_967_295).default(4_294_967_295), {
    description:
      'Longest Session Expiry Interval granted, also to MQTT 3.1.1 clients without clean session; with 4294967295 a session never expires.',
  }),
  subscriptionsPerSession: key(integer(1, 1_000_000).default(10_000), {
    description: 'Subscriptions of one session; further ones are refused (0x97).',
  }),
  subscriptionBytesPerSession: key(integer(65_536, 1_073_741_824).default(100_663_296), {
    description:
      'Bytes of the Topic Filters of one session. The node refuses a filter beyond (0x97).',
  }),
  nodeSubscriptionBytes: key(integer(1_048_576, 1_099_511_627_776).default(268_435_456), {
    description:
      'Bytes of the Topic Filters of all connections of the node and of the sessions in all shards that it holds. Beyond, the node refuses new filters (0x97).',
  }),
  retainedMessagesPerShard: key(integer(0, 10_000_000).default(65_536), {
    description:
      'Retained messages of one shard. The shard delivers a message on a further topic without retaining it, and counts it.',
  }),
  topicLevels: key(integer(1, 200).default(200), {
    description:
      'Levels of a Topic Name or Topic Filter. The node refuses deeper ones (0x90, 0x8F); at QoS 0 and before MQTT 5 the publisher loses its connection.',
  }),
});

const timings = section('Times of the shard log and of shutdown. Defaults suit a LAN.', {
  heartbeatMs: key(integer(20, 10_000).default(100), {
    description: 'Pause between two heartbeats to another node.',
  }),
  silenceMs: key(integer(100, 60_000).default(500), {
    description:
      'Silence after which a view drops a copy or replaces its leader; at least 3 heartbeats. A node publishes by its routes for at most four times as long without a grant of a member that is alive. Applies when the node founds a cluster; a joiner takes the cluster’s value.',
  }),
  electionStaggerMs: key(integer(10, 10_000).default(200), {
    description: 'Pause between the candidacies of one voter and the next in preference order.',
  }),
  replaceVoterAfterMs: key(integer(1000, 86_400_000).default(600_000), {
    description:
      'Time that a member is dead or unknown before its vote passes to another. Its copies are rebuilt as soon as SWIM finds it dead.',
  }),
  handshakeTimeoutMs: key(integer(100, 600_000).default(10_000), {
    description:
      'Time that a new connection has for its PROXY header, TLS handshake and WebSocket upgrade together, then it is closed.',
  }),
  connectTimeoutMs: key(integer(1000, 600_000).default(10_000), {
    description: 'Time that a new connection has to send CONNECT, then it is closed.',
  }),
  slowReaderMs: key(integer(100, 60_000).default(500), {
    description:
      'Time that publishers wait for a client that does not read, before the node disconnects it; only above `limits.liveQueueMessages` or `limits.liveQueueBytes`.',
  }),
  willNodeGraceMs: key(integer(0, 60_000).default(1000), {
    description:
      'Time that a Will waits: for the client’s former node to say whether it received a DISCONNECT, and for clients of a stopping node to connect elsewhere.',
  }),
  stopTimeoutMs: key(integer(0, 600_000).default(10_000), {
    description: 'Longest time that a stop spends on handing over and draining.',
  }),
});

/** Ranges are those of the failure detector; its preset gives the defaults. */
const swimSetting = (name: keyof typeof SWIM_SETTINGS): z.ZodOptional<z.ZodNumber> => {
  const setting = SWIM_SETTINGS[name];
  assert(setting.type !== 'boolean', name);
  const number = setting.type === 'int' ? z.int() : z.number();
  return number.min(setting.min).max(setting.max).optional();
};
const byPreset = 'by the preset';

const swim = section('Failure detection (SWIM). The same on every node.', {
  thread: key(z.enum(['own', 'main']).default('own'), {
    description:
      'Where failure detection runs: in its `own` thread, which answers however busy the node is and reports when the node hangs; or in the `main` thread, which takes 14 MiB less and answers late under load.',
  }),
  unwellAfterMs: key(integer(200, 600_000).default(2000), {
    description:
      'Time that the main loop of the node, or a write to its disk, hangs before the node reports itself unwell and others are preferred as leaders. Watches the main loop with `swim.thread: own` only.',
  }),
  deadAfterMs: key(integer(0, 3_600_000).default(30_000), {
    description:
      'Time that the main loop hangs before failure detection falls silent too, so that others find the node faulty; 0 for never. Above `swim.unwellAfterMs`.',
  }),
  preset: key(z.enum(['lan', 'wan', 'test']).default('lan'), {
    description:
      'Timings: `lan` for one site, `wan` between sites, `test` for tests on one machine.',
  }),
  protocolPeriodMs: key(swimSetting('protocolPeriodMs'), {
    description: 'Time between two probes by one node.',
    'x-default': byPreset,
  }),
  probeTimeoutMs: key(swimSetting('probeTimeoutMs'), {
    description: 'Wait for an answer before others are asked; at most half of the period.',
    'x-default': byPreset,
  }),
  indirectProbes: key(swimSetting('indirectProbes'), {
    description: 'Nodes asked to probe one that does not answer.',
    'x-default': byPreset,
  }),
  discoveryIntervalMs: key(swimSetting('discoveryIntervalMs'), {
    description:
      'Time between two rounds of `cluster.discovery`; one second while the node knows no other.',
    'x-default': byPreset,
  }),
  suspicionMult: key(swimSetting('suspicionMult'), {
    description:
      'Shortest time from suspect to faulty for a node whose host refuses connections, because its process has ended: protocol periods, times log10 of the node count (at least of 32).',
    'x-default': byPreset,
  }),
  silenceMs: key(swimSetting('silenceMs'), {
    description:
      'Shortest time from suspect to faulty for a silent node, which may only be paused, or its host. A node that has paused before gets longer.',
    'x-default': byPreset,
  }),
});

export type Limits = Readonly<z.output<typeof limits>>;
export type Timings = Readonly<z.output<typeof timings>>;

/** For cores that are made without a configuration. */
export const DEFAULT_LIMITS: Limits = limits.parse({});
export const DEFAULT_TIMINGS: Timings = timings.parse({});

/** `prefault` gives an absent section its members' defaults. */
export const configSchema = z.strictObject({
  node,
  data,
  mqtt: mqtt.prefault({}),
  auth: auth.prefault({}),
  cluster: cluster.prefault({}),
  admin: admin.prefault({}),
  log: log.prefault({}),
  limits: limits.prefault({}),
  timings: timings.prefault({}),
  swim: swim.prefault({}),
});

/** What one key takes, read off the schema. */
export interface ConfigKey {
  /** Dotted: `cluster.replicas`. */
  readonly key: string;
  /** `SHOAL_CLUSTER_REPLICAS`. */
  readonly variable: string;
  /** `mappings` is a list of mappings. */
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'list' | 'mappings';
  readonly required: boolean;
  readonly description: string;
  readonly flag?: string | undefined;
  readonly default?: unknown;
  /** What an absent value means where `default` is undefined. */
  readonly defaultText?: string | undefined;
  readonly minimum?: number | undefined;
  readonly maximum?: number | undefined;
  readonly choices?: readonly string[] | undefined;
}

export interface ConfigSection {
  readonly name: string;
  readonly description: string;
  readonly keys: readonly ConfigKey[];
}

interface JsonSchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly string[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchemaNode>>;
  readonly items?: JsonSchemaNode;
  readonly 'x-flag'?: string;
  readonly 'x-default'?: string;
}

/** JSON Schema (draft 2020-12) of a configuration file, for editors. */
export function configJsonSchema(): Record<string, unknown> {
  return { title: 'Shoal configuration', ...z.toJSONSchema(configSchema, { io: 'input' }) };
}

let sections: readonly ConfigSection[] | undefined;

/** Every key by section, in the order of the schema. */
export function configSections(): readonly ConfigSection[] {
  sections ??= Object.entries((configJsonSchema() as JsonSchemaNode).properties ?? {}).map(
    ([name, node]) => ({
      name,
      description: node.description ?? '',
      keys: Object.entries(node.properties ?? {}).map(([leaf, schema]) =>
        describeKey(name, leaf, schema, node.required?.includes(leaf) ?? false),
      ),
    }),
  );
  return sections;
}

function describeKey(
  sectionName: string,
  leaf: string,
  schema: JsonSchemaNode,
  required: boolean,
): ConfigKey {
  return {
    key: `${sectionName}.${leaf}`,
    variable: variableOf(`${sectionName}.${leaf}`),
    type: typeOf(schema),
    required,
    description: schema.description ?? '',
    flag: schema['x-flag'],
    default: schema.default,
    defaultText: schema['x-default'],
    minimum: schema.minimum,
    maximum: schema.maximum,
    choices: schema.enum,
  };
}

function typeOf({ type, items }: JsonSchemaNode): ConfigKey['type'] {
  if (type !== 'array') return type as 'string' | 'integer' | 'number';
  return items?.type === 'object' ? 'mappings' : 'list';
}

/** `limits.maxPacketBytes` → `SHOAL_LIMITS_MAX_PACKET_BYTES`. */
function variableOf(dotted: string): string {
  const snake = dotted.replace(/([a-z0-9])([A-Z])/g, '$1_$2').replace('.', '_');
  return `SHOAL_${snake.toUpperCase()}`;
}
