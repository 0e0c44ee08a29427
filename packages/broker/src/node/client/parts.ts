/** What the parts of a client's connection see of it, and of the node's other clients: types only. */

import type { Rights } from '../../access/gate.ts';
import type { FrameReader } from '../../mqtt/frame-reader.ts';
import type { ProtocolVersion } from '../../mqtt/packet.ts';
import type { ClientSocket } from '../../ports.ts';
import type { Message } from '../../session/message.ts';
import type { SubscriptionRequest } from '../../session/subscription.ts';
import type { RetainedZero, Taker } from '../link/delivery-codec.ts';
import type { LiveConnection, LiveSubscription } from '../route/client-port.ts';
import type { Line } from '../work.ts';
import type { AckOrder } from './ack-order.ts';
import type { Aliases } from './aliases.ts';
import type { ClientLog, LoggedClient } from './client-log.ts';
import type { Overdue } from './overdue.ts';
import type { SendWindow, Sharing } from './send-window.ts';
import type { SentAliases } from './sent-aliases.ts';
import type { ServerOptions } from './server-options.ts';
import type { SessionPort } from './session-port.ts';
import type { Sessions } from './sessions.ts';

export interface Client extends LiveConnection {
  readonly port: SessionPort;
  readonly clients: ClientsOfNode;
  readonly socket: ClientSocket;
  /** What its listener offers. */
  readonly options: ServerOptions;
  readonly id: number;
  readonly reader: FrameReader;
  readonly version: ProtocolVersion;
  /** Index of the OPEN, 0 before it is committed. */
  readonly epoch: number;
  /** The session is stored in its shard, if only because it was; its queue brings QoS 1 and 2. */
  readonly persistent: boolean;
  /** Its session is older than the connection (Session Present). */
  readonly resumed: boolean;
  readonly expirySeconds: number;
  /** What it may do; null: everything. */
  rights: Rights | null;
  /** QoS 1 and 2 messages that the client takes at once. */
  readonly receiveMaximum: number;
  /** Largest packet that the client takes. */
  readonly maximumPacketSize: number;
  /** The client has said DISCONNECT 0x00, and has no session to come back to. */
  readonly saidAll: boolean;
  readonly isOpen: boolean;
  readonly subscriptions: ReadonlyMap<string, LiveSubscription> | null;
  acks: AckOrder | null;
  out: SendWindow | null;
  /** QoS 2 messages received on this connection without a PUBREL yet, by Packet Identifier. */
  received: Map<number, Received> | null;
  aliases: Aliases | null;
  /** Topic Aliases for what it is sent; null if it allows none. */
  readonly sentAliases: SentAliases | null;
  /** Retained messages on their way, or expected. */
  retained: RetainedToClient | null;
  /** What leaders of groups know of its window, by node; null while none has given it anything. */
  sharing: Map<string, Sharing> | null;
  /** Requests not answered yet, publishes above all, and their bytes. */
  unacknowledged: number;
  unacknowledgedBytes: number;
  /** Why the socket is not read: bits of `Unread`. */
  unread: number;
  /** Answers since the socket last had nothing to send. */
  answerBytes: number;
  /** What waited for the socket a second ago, while its client is not read for its answers. */
  undrainedBytes: number;
  /** As much as may waits behind a packet that takes a while: the socket is not read for that. */
  readonly full: boolean;
  /** The last refusal that it was told of, as a Reason Code, and when by the wall clock; 0 for none. */
  lastErrorCode: number;
  lastErrorMs: number;
  /** A packet takes a while: what comes behind it waits. */
  hold(): void;
  unhold(): void;
  /** Something whole has come, or silence was not the client's. */
  heard(): void;
  /** A packet, or its beginning; the rest follows by {@link writeMore}. */
  write(packet: Uint8Array): void;
  writeMore(bytes: Uint8Array): void;
  setLive(request: SubscriptionRequest): void;
  /** @returns false if there is no such subscription */
  dropLive(filter: string): boolean;
  /** Another connection owns the session. */
  fenced(): void;
  /** The client broke the protocol, or went silent. */
  fail(reasonCode: number, why: string): void;
}

/** A QoS 2 message from the client without a PUBREL yet. */
export interface Received {
  /** PUBREC is sent, or due as soon as the acknowledgements before it are. */
  answered: boolean;
  /** Answers that wait for the message to be stored: its own, and one for each repetition. */
  readonly repeats: ((reasonCode: number) => void)[];
}

export interface RetainedToClient {
  /** A SUBACK is to come before any retained message. */
  readonly subackDue: boolean;
  /** A SUBSCRIBE wants retained messages: from now on live messages may outdate them. */
  expect(): void;
  sawLive(message: Message): void;
  /** The SUBACK is sent, and the connection reads for itself. */
  read(wanted: readonly SubscriptionRequest[]): void;
  /** The SUBACK is sent, and the session's leader reads. */
  leaderReads(): void;
  /** QoS 0 copies from the leader. @param taken to be called when there is room for more */
  fromLeader(batch: RetainedZero, taken: () => void): void;
  /** There may be something to send, or room for it. */
  wake(): void;
  end(): void;
}

/** The clients of one node. */
export interface ClientsOfNode {
  readonly port: SessionPort;
  readonly sessions: Sessions;
  readonly log: ClientLog;
  /** For packets with many filters. */
  readonly line: Line;
  /** Requests that are refused when no leader has answered for long. */
  readonly overdue: Overdue;
  /** Topics of `$SYS`. */
  readonly sys: {
    /** What a client has subscribed to, as retained messages. */
    send(c: Client, wanted: readonly SubscriptionRequest[]): void;
  };
  /** Connections that are not read because too much of all clients' is under way. */
  readonly crowded: Set<Client>;
  /** Connections that publishers wait for. */
  readonly slow: Set<Client>;
  /** The connection has its session. */
  opened(c: Client): void;
  /** The connection is gone. */
  gone(c: Client): void;
  /** The server ends an open connection. @param by the connection that has the session now, if that is why */
  ending(c: LoggedClient, reasonCode: number, by: Taker | null): void;
  /** A client gives a user name or a password. */
  noteCredentials(clientId: string, remote: string): void;
}
