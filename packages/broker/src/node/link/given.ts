/** What the leader of a group's shard gives a member's connection, and what comes back; with their bytes. */
import { BytesError, type Reader, type Writer } from '../../bytes.ts';
import {
  type Message,
  type Rx2Id,
  readMessage,
  readRx2Id,
  writeMessage,
  writeRx2Id,
} from '../../session/message.ts';
import { type ConnectionAddress, readAddress, writeAddress } from './delivery-codec.ts';

export interface Give {
  readonly to: ConnectionAddress;
  /** The sender's number for the message, repeated in the answer; 0 if none is awaited. */
  readonly token: number;
  /** Shard of the group's queue, and the term of its leader: a deposed leader is not heeded. */
  readonly shard: number;
  readonly term: number;
  /** Rises each time the connection refused and has room again: see {@link Outcome}.Busy. */
  readonly generation: number;
  /** The whole Topic Filter of the Shared Subscription. */
  readonly group: string;
  /** At most that of the subscription. */
  readonly qos: 0 | 1 | 2;
  /** At QoS 2 that of its BIND; at QoS 1 that of its GROUP, with 0 as `low`; null at QoS 0. */
  readonly id: Rx2Id | null;
  readonly message: Message;
}

/** What became of a message that was given. */
export const Outcome = {
  /** The client has acknowledged it. */
  Done: 0,
  /** There is no room: nothing more is taken until the gateway says so, by the next generation. */
  Busy: 1,
  /** The connection is no member, or ended before an acknowledgement: another member may have it. */
  Gone: 2,
  /** The client refused it [MQTT-4.8.2-6]. */
  Discarded: 3,
  /** Of QoS 2, sent, and its session has ended [MQTT-4.8.2-5]. */
  Ended: 4,
} as const;

export type Outcome = (typeof Outcome)[keyof typeof Outcome];

const OUTCOME_MAX = Math.max(...Object.values(Outcome));

export interface Given {
  readonly token: number;
  readonly outcome: Outcome;
}

/** A connection that was busy takes messages again. */
export interface GiveFree {
  readonly connection: number;
  readonly generation: number;
  /** Messages that it takes beyond those under way from this leader; at least 1. */
  readonly room: number;
  /** Token of the last message that the connection has had from this leader's node. */
  readonly upTo: number;
}

export function writeGive(w: Writer, g: Give): void {
  writeAddress(w, g.to);
  w.varint(g.token);
  w.varint(g.shard);
  w.varint(g.term);
  w.varint(g.generation);
  w.str(g.group);
  w.u8(g.qos);
  writeRx2Id(w, g.id);
  writeMessage(w, g.message);
}

export function readGive(r: Reader): Give {
  const to = readAddress(r);
  const token = r.varint();
  const shard = r.varint();
  const term = r.varint();
  const generation = r.varint();
  const group = r.str();
  const qos = r.u8();
  if (qos > 2) throw new BytesError(`message given at QoS ${qos}`);
  const id = readRx2Id(r);
  const message = readMessage(r);
  return { to, token, shard, term, generation, group, qos: qos as 0 | 1 | 2, id, message };
}

export function writeGiven(w: Writer, { token, outcome }: Given): void {
  w.varint(token);
  w.u8(outcome);
}

export function readGiven(r: Reader): Given {
  const token = r.varint();
  const outcome = r.u8();
  if (outcome > OUTCOME_MAX) throw new BytesError(`message given, outcome ${outcome}`);
  return { token, outcome: outcome as Outcome };
}

export function writeGiveFree(w: Writer, { connection, generation, room, upTo }: GiveFree): void {
  w.varint(connection);
  w.varint(generation);
  w.varint(room);
  w.varint(upTo);
}

export function readGiveFree(r: Reader): GiveFree {
  return { connection: r.varint(), generation: r.varint(), room: r.varint(), upTo: r.varint() };
}
