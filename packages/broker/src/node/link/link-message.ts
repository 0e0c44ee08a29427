/**
 * Messages between nodes, one entry for each kind of {@link Wire}: its fields and its bytes.
 *
 * `write` writes kind and body; `read` reads the body behind the kind. The bytes of every kind are pinned
 * by test/fixtures/v1.
 */
import { BytesError, type Reader, type Writer } from '../../bytes.ts';
import { type ClusterSettings, readSettings, writeSettings } from '../../cluster-settings.ts';
import {
  type Message,
  type Rx2Id,
  readMessage,
  readRx2Id,
  writeMessage,
  writeRx2Id,
} from '../../session/message.ts';
import {
  readSubscription,
  type SubscriptionRequest,
  writeSubscription,
} from '../../session/subscription.ts';
import { readShardMessage, type ShardMessage, writeShardMessage } from '../../shard/message.ts';
import {
  type ConnectionAddress,
  type Delivery,
  type RetainedZero,
  readAddress,
  readDelivery,
  readRetainedZero,
  type Taker,
  writeAddress,
  writeDelivery,
  writeRetainedZero,
} from './delivery-codec.ts';
import { type FilterChange, readChange, writeChange } from './filter-change.ts';
import {
  type Give,
  type GiveFree,
  type Given,
  readGive,
  readGiveFree,
  readGiven,
  writeGive,
  writeGiveFree,
  writeGiven,
} from './given.ts';
import type { Heartbeat, HeartbeatAck } from './heartbeat.ts';
import {
  json,
  nothing,
  numberOf,
  type RequestNumber,
  readNumber,
  writeNumber,
} from './message-parts.ts';
import type { MissedMessages } from './missed-messages.ts';
import { type Relayed, readRelayed, writeRelayed } from './relayed.ts';
import {
  type Reply,
  type Request,
  readReply,
  readRequest,
  writeReply,
  writeRequest,
} from './request.ts';
import type { Page, PageStatus, RetainedQuery } from './retained-page.ts';
import {
  type LostShard,
  readLostShard,
  readShardView,
  type ShardView,
  writeLostShard,
  writeShardView,
} from './views.ts';
import { Wire } from './wire.ts';

export type { RequestNumber } from './message-parts.ts';

/** Changes of a shard's routes from one version to the next, or one page of all its routes. */
export interface ShardRoutes {
  readonly shard: number;
  /** All routes of the shard instead of changes; `from` is then empty. */
  readonly whole: boolean;
  /** Further pages follow. */
  readonly more: boolean;
  readonly from: string;
  readonly to: string;
  readonly changes: readonly (readonly [filter: string, added: boolean])[];
}

const WHOLE = 1;
const MORE_PAGES = 2;

const STATUSES: readonly PageStatus[] = ['page', 'complete', 'moved', 'unknown', 'busy'];

/** What a RetainedQuery asks: the next page, all shards that the node leads, or those listed. */
const GO_ON = 0;
const ALL = 1;
const LISTED = 2;

export const LinkMessage = {
  Heartbeat: {
    write(w: Writer, m: Heartbeat): void {
      w.u8(Wire.Heartbeat);
      w.f64(m.sentMs);
      w.bool(m.calm);
    },
    read: (r: Reader): Heartbeat => ({ sentMs: r.f64(), calm: r.bool() }),
  },

  HeartbeatAck: {
    write(w: Writer, m: HeartbeatAck): void {
      w.u8(Wire.HeartbeatAck);
      w.f64(m.sentMs);
      w.bool(m.grants);
      w.varint(m.after);
    },
    read: (r: Reader): HeartbeatAck => ({
      sentMs: r.f64(),
      grants: r.bool(),
      after: r.varint(),
    }),
  },

  Relay: {
    write: (w: Writer, m: Relayed): void => writeRelayed(w, m),
    read: readRelayed,
  },

  /** Null from a joiner, which knows no cluster yet. */
  Hello: {
    write(w: Writer, settings: ClusterSettings | null): void {
      w.u8(Wire.Hello);
      w.bool(settings !== null);
      if (settings) writeSettings(w, settings);
    },
    read: (r: Reader): ClusterSettings | null => (r.bool() ? readSettings(r) : null),
  },

  Shard: {
    write(w: Writer, shard: number, message: ShardMessage): void {
      w.u8(Wire.Shard);
      w.varint(shard);
      writeShardMessage(w, message);
    },
    read: (r: Reader): { readonly shard: number; readonly message: ShardMessage } => ({
      shard: r.varint(),
      message: readShardMessage(r),
    }),
  },

  Request: {
    write(w: Writer, number: RequestNumber, request: Request): void {
      w.u8(Wire.Request);
      writeNumber(w, number);
      writeRequest(w, request);
    },
    read: (r: Reader): { readonly number: RequestNumber; readonly request: Request } => ({
      number: readNumber(r),
      request: readRequest(r),
    }),
  },

  /** One message for several shards with the same leader. */
  Publish: {
    write(w: Writer, m: Publish): void {
      w.u8(Wire.Publish);
      w.list(m.numbers, writeNumber);
      writeRx2Id(w, m.rx2);
      writeMessage(w, m.message);
    },
    read: (r: Reader): Publish => ({
      numbers: r.list(readNumber),
      rx2: readRx2Id(r),
      message: readMessage(r),
    }),
  },

  Reply: {
    write(w: Writer, shard: number, sequence: number, reply: Reply): void {
      w.u8(Wire.Reply);
      w.varint(shard);
      w.varint(sequence);
      writeReply(w, reply);
    },
    read: (r: Reader): { readonly shard: number; readonly sequence: number; reply: Reply } => ({
      shard: r.varint(),
      sequence: r.varint(),
      reply: readReply(r),
    }),
  },

  /** A page of the subscriptions in an answer to OPEN; the reply follows. */
  Subscriptions: {
    write(w: Writer, m: Subscriptions): void {
      w.u8(Wire.Subscriptions);
      w.varint(m.shard);
      w.varint(m.sequence);
      w.list(m.page, writeSubscription);
    },
    read: (r: Reader): Subscriptions => ({
      shard: r.varint(),
      sequence: r.varint(),
      page: r.list(readSubscription),
    }),
  },

  Views: {
    write(w: Writer, views: readonly ShardView[]): void {
      w.u8(Wire.Views);
      w.list(views, writeShardView);
    },
    read: (r: Reader): ShardView[] => r.list(readShardView),
  },

  /** Filters of live sessions; `whole`: the first page of all of them. */
  Routes: {
    write(w: Writer, whole: boolean, changes: readonly FilterChange[]): void {
      w.u8(Wire.Routes);
      w.bool(whole);
      w.list(changes, writeChange);
    },
    read: (r: Reader): { readonly whole: boolean; readonly changes: FilterChange[] } => ({
      whole: r.bool(),
      changes: r.list(readChange),
    }),
  },

  ShardRoutes: {
    write(w: Writer, m: ShardRoutes): void {
      w.u8(Wire.ShardRoutes);
      w.varint(m.shard);
      w.u8((m.whole ? WHOLE : 0) | (m.more ? MORE_PAGES : 0));
      w.str(m.from);
      w.str(m.to);
      w.list(m.changes, (o, [filter, added]) => {
        o.bool(added);
        o.str(filter);
      });
    },
    read(r: Reader): ShardRoutes {
      const shard = r.varint();
      const flags = r.u8();
      if (flags > (WHOLE | MORE_PAGES)) throw new BytesError(`routes of a shard, flags ${flags}`);
      return {
        shard,
        whole: (flags & WHOLE) !== 0,
        more: (flags & MORE_PAGES) !== 0,
        from: r.str(),
        to: r.str(),
        changes: r.list((i) => {
          const added = i.bool();
          return [i.str(), added] as const;
        }),
      };
    },
  },

  NeedShardRoutes: numberOf(Wire.NeedShardRoutes),

  /** All views of the sender have been told; what it led and does not lead now. */
  Synced: {
    write(w: Writer, lost: readonly LostShard[]): void {
      w.u8(Wire.Synced);
      w.list(lost, writeLostShard);
    },
    read: (r: Reader): LostShard[] => r.list(readLostShard),
  },

  /** Its token. */
  Barrier: numberOf(Wire.Barrier),
  BarrierAck: numberOf(Wire.BarrierAck),

  LivePublish: {
    write(w: Writer, m: LivePublish): void {
      w.u8(Wire.LivePublish);
      w.varint(m.sequence);
      writeRx2Id(w, m.rx2);
      writeMessage(w, m.message);
    },
    read: (r: Reader): LivePublish => ({
      sequence: r.varint(),
      rx2: readRx2Id(r),
      message: readMessage(r),
    }),
  },

  /** The sequence. */
  LiveAck: numberOf(Wire.LiveAck),
  LiveHeld: numberOf(Wire.LiveHeld),
  LiveAsk: numberOf(Wire.LiveAsk),
  LiveAwaited: numberOf(Wire.LiveAwaited),

  LiveGap: {
    write(w: Writer, sequence: number, missed: MissedMessages): void {
      w.u8(Wire.LiveGap);
      w.varint(sequence);
      w.bool(missed.everything);
      w.f64(missed.hlc);
      w.list(missed.topics, (o, topic) => o.str(topic));
    },
    read: (r: Reader): { readonly sequence: number; readonly missed: MissedMessages } => ({
      sequence: r.varint(),
      missed: { everything: r.bool(), hlc: r.f64(), topics: r.list((i) => i.str()) },
    }),
  },

  QosZero: {
    write(w: Writer, message: Message): void {
      w.u8(Wire.QosZero);
      writeMessage(w, message);
    },
    read: readMessage,
  },

  Deliver: {
    write(w: Writer, delivery: Delivery): void {
      w.u8(Wire.Deliver);
      writeDelivery(w, delivery);
    },
    read: readDelivery,
  },

  Pubrel: {
    write(w: Writer, to: ConnectionAddress, position: number): void {
      w.u8(Wire.Pubrel);
      writeAddress(w, to);
      w.varint(position);
    },
    read: (r: Reader): { readonly to: ConnectionAddress; readonly position: number } => ({
      to: readAddress(r),
      position: r.varint(),
    }),
  },

  Kick: {
    write(w: Writer, m: Kick): void {
      w.u8(Wire.Kick);
      writeAddress(w, m.to);
      w.u8(m.reasonCode);
      w.bool(m.yields);
      w.str(m.by.node);
      w.varint(m.by.connection);
    },
    read: (r: Reader): Kick => ({
      to: readAddress(r),
      reasonCode: r.u8(),
      yields: r.bool(),
      by: { node: r.str(), connection: r.varint() },
    }),
  },

  /** `question` is null where an earlier one goes on with its next page. */
  RetainedQuery: {
    write(w: Writer, { id, pageBytes, question }: RetainedQuery): void {
      w.u8(Wire.RetainedQuery);
      w.varint(id);
      w.varint(pageBytes);
      w.u8(question === null ? GO_ON : question.shards ? LISTED : ALL);
      if (!question) return;
      if (question.shards) w.list(question.shards, (o, shard) => o.varint(shard));
      else w.u32(question.print);
      w.list(question.filters, (o, f) => o.str(f));
      w.str(question.after);
    },
    read(r: Reader): RetainedQuery {
      const id = r.varint();
      const pageBytes = r.varint();
      const kind = r.u8();
      if (kind > LISTED) throw new BytesError(`retained query of kind ${kind}`);
      if (kind === GO_ON) return { id, pageBytes, question: null };
      const shards = kind === LISTED ? r.list((i) => i.varint()) : null;
      const print = kind === LISTED ? 0 : r.u32();
      const question = { shards, print, filters: r.list((i) => i.str()), after: r.str() };
      return { id, pageBytes, question };
    },
  },

  RetainedReply: {
    write(w: Writer, id: number, page: Page): void {
      w.u8(Wire.RetainedReply);
      w.varint(id);
      w.u8(STATUSES.indexOf(page.status));
      w.list(page.items, writeMessage);
    },
    read(r: Reader): { readonly id: number; readonly page: Page } {
      const id = r.varint();
      const code = r.u8();
      const status = STATUSES[code];
      if (status === undefined) throw new BytesError(`retained reply of status ${code}`);
      return { id, page: { status, items: r.list(readMessage) } };
    },
  },

  /** The query's id. */
  RetainedEnd: numberOf(Wire.RetainedEnd),

  RetainedZero: {
    write(w: Writer, to: ConnectionAddress, batch: RetainedZero): void {
      w.u8(Wire.RetainedZero);
      writeAddress(w, to);
      writeRetainedZero(w, batch);
    },
    read: (r: Reader): { readonly to: ConnectionAddress; readonly batch: RetainedZero } => ({
      to: readAddress(r),
      batch: readRetainedZero(r),
    }),
  },

  RetainedTaken: {
    write(w: Writer, clientId: string, token: number): void {
      w.u8(Wire.RetainedTaken);
      w.str(clientId);
      w.f64(token);
    },
    read: (r: Reader): { readonly clientId: string; readonly token: number } => ({
      clientId: r.str(),
      token: r.f64(),
    }),
  },

  /** A question as JSON. */
  Ask: json(Wire.Ask),
  Answer: json(Wire.Answer),

  /** Bytes taken on this link so far. */
  Credit: numberOf(Wire.Credit),

  /** This process ends in order. */
  Stopped: nothing(Wire.Stopped),

  /** Boot epochs, ascending. */
  Runs: {
    write(w: Writer, runs: readonly number[]): void {
      w.u8(Wire.Runs);
      w.list(runs, (o, epoch) => o.varint(epoch));
    },
    read: (r: Reader): number[] => r.list((i) => i.varint()),
  },

  /** The boot epoch. */
  RunMissing: numberOf(Wire.RunMissing),
  LaterRun: numberOf(Wire.LaterRun),

  Give: {
    write(w: Writer, give: Give): void {
      w.u8(Wire.Give);
      writeGive(w, give);
    },
    read: readGive,
  },

  Given: {
    write(w: Writer, given: Given): void {
      w.u8(Wire.Given);
      writeGiven(w, given);
    },
    read: readGiven,
  },

  GiveFree: {
    write(w: Writer, free: GiveFree): void {
      w.u8(Wire.GiveFree);
      writeGiveFree(w, free);
    },
    read: readGiveFree,
  },
} satisfies {
  [K in keyof typeof Wire]: { write(w: Writer, ...m: never[]): void; read(r: Reader): unknown };
};

interface Publish {
  readonly numbers: readonly RequestNumber[];
  readonly rx2: Rx2Id | null;
  readonly message: Message;
}

interface Subscriptions {
  readonly shard: number;
  readonly sequence: number;
  readonly page: readonly SubscriptionRequest[];
}

export interface LivePublish {
  readonly sequence: number;
  readonly rx2: Rx2Id | null;
  readonly message: Message;
}

interface Kick {
  readonly to: ConnectionAddress;
  readonly reasonCode: number;
  /** The session is still that connection's: its node is to send CLOSE. */
  readonly yields: boolean;
  /** The connection that takes the session over; without a name if there is none. */
  readonly by: Taker;
}
