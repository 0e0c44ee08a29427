/** Messages to the members of one Shared Subscription: how evenly they come, and how fast. */
import type { LocalCluster } from '../chaos/cluster.ts';
import { publishTemplate } from '../load/codec.ts';
import { type ConnectionListener, LoadConnection } from '../load/connection.ts';

export interface SharedOptions {
  readonly cluster: LocalCluster;
  /** Members, each at the next node. */
  readonly members: number;
  /** Topics that the messages go round. */
  readonly topics: number;
  readonly messages: number;
  /** Names the group and its topics, so that runs do not meet. */
  readonly name: string;
  readonly timeoutMs: number;
}

export interface SharedFigures {
  readonly members: number;
  readonly topics: number;
  readonly messages: number;
  /** Messages that came again, and that did not come. */
  readonly repeated: number;
  readonly lost: number;
  readonly perSecond: number;
  /** Of what each member got. */
  readonly most: number;
  readonly least: number;
}

const PUBLISHERS = 6;
const IN_FLIGHT = 50;
const PAYLOAD_BYTES = 64;

/** A run at QoS 1. @throws Error if a connection is lost, or the messages do not all come in time */
export async function runShared(options: SharedOptions): Promise<SharedFigures> {
  const { cluster, members, topics, messages, name, timeoutMs } = options;
  const counts = new Array<number>(members).fill(0);
  const seen = new Uint8Array(messages);
  let distinct = 0;
  let repeated = 0;
  const { promise: all, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => reject(new Error(`${distinct} of ${messages} in ${timeoutMs} ms`)),
    timeoutMs,
  );
  const onLost = () => reject(new Error('a connection was lost'));
  const member: ConnectionListener = {
    onMessage: (connection, bytes, payloadAt) => {
      counts[connection.index]!++;
      const i = bytes.readUInt32BE(payloadAt);
      if (seen[i] === 1) {
        repeated++;
        return;
      }
      seen[i] = 1;
      if (++distinct === messages) resolve();
    },
    onPublished: () => {},
    onLost,
  };
  const open = (index: number, clientId: string, listener: ConnectionListener) => {
    const { host, port } = cluster.endpoint(cluster.names[index % cluster.names.length]!);
    const to = { host, port, transport: 'tcp', cleanSession: true } as const;
    return LoadConnection.open(index, { ...to, clientId }, listener);
  };
  const connections: LoadConnection[] = [];
  try {
    for (let i = 0; i < members; i++) {
      const connection = await open(i, `${name}-member-${i}`, member);
      connections.push(connection);
      await connection.subscribe(`$share/${name}/${name}/#`, 1);
    }
    const startMs = performance.now();
    let next = 0;
    const publish = (connection: LoadConnection) => {
      if (next === messages) return;
      const i = next++;
      const payload = Buffer.alloc(PAYLOAD_BYTES);
      payload.writeUInt32BE(i);
      const template = publishTemplate(`${name}/${i % topics}`, 1, payload);
      template.bytes.writeUInt16BE(connection.takePacketId(), template.packetIdAt);
      connection.write(template.bytes);
    };
    const publisher = { onMessage: () => {}, onPublished: publish, onLost };
    for (let i = 0; i < PUBLISHERS; i++) {
      const connection = await open(i, `${name}-publisher-${i}`, publisher);
      connections.push(connection);
      for (let n = 0; n < IN_FLIGHT; n++) publish(connection);
    }
    await all;
    const perSecond = messages / ((performance.now() - startMs) / 1000);
    const [most, least] = [Math.max(...counts), Math.min(...counts)];
    const lost = messages - distinct;
    return { members, topics, messages, repeated, lost, perSecond, most, least };
  } finally {
    clearTimeout(timer);
    await Promise.all(connections.map((connection) => connection.close()));
  }
}
