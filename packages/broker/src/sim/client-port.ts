import type { Prng, Scheduler } from '@shoal/swim/sim';
import type { Connection, History, Message, Session } from './history.ts';
import type { ClientPipe, PipeClient } from './pipe.ts';
import type { Transcript } from './transcript.ts';
import type { ProtocolVersion } from './wire.ts';

/** What a client gets from the world. */
export interface ClientEnv {
  readonly scheduler: Scheduler;
  readonly random: Prng;
  readonly history: History;
  readonly transcript: Transcript;
  /** Numbers connections within one run. */
  nextConnectionId(): number;
  dial(node: string, remote: string, client: PipeClient): ClientPipe;
}

export interface ClientOptions {
  readonly clientId: string;
  readonly version: ProtocolVersion;
  /** False: the session ends with the connection. */
  readonly persistent: boolean;
  /** Session Expiry Interval of a persistent MQTT 5 session; default a day. */
  readonly sessionExpirySeconds?: number;
  /** Acknowledgements wait up to this long. */
  readonly ackDelayMs: number;
  /** A request unanswered for this long ends the connection. */
  readonly patienceMs: number;
  readonly keepAliveSeconds: number;
  /** Receive Maximum that an MQTT 5 client asks for; 0 asks for none. */
  readonly receiveMaximum: number;
  /** Takes the lowest Packet Identifier that is free. */
  readonly reuseId?: boolean;
  /** Sends PUBLISH of QoS 2 and PUBREC again on one connection, as some clients of 3.1.1 do. */
  readonly repeats?: boolean;
}

/** A client, as its inbox and outbox see it. */
export interface ClientCore {
  readonly name: string;
  readonly nowMs: number;
  readonly env: ClientEnv;
  readonly options: ClientOptions;
  readonly connected: boolean;
  readonly session: Session | undefined;
  readonly connection: Connection | undefined;
  /** Ordering domain of what is published now with this QoS. */
  domain(qos: number): string;
  /** Sends bytes on the current connection. */
  send(bytes: Uint8Array): void;
  say(what: string): void;
  /** True while a SUBSCRIBE or UNSUBSCRIBE uses this Packet Identifier. */
  requesting(packetId: number): boolean;
  /** PUBCOMP came. */
  onCompleted?(): void;
}

/** The payload by which a message is recognised. */
export function payloadOf(message: Message, padding = 0): string {
  return `#${message.id} ${'.'.repeat(padding)}`;
}
