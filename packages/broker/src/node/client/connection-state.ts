/** What is known of a client's connection, as plain fields; {@link Connection} says what they mean together. */
import type { Rights } from '../../access/gate.ts';
import type { ProtocolVersion } from '../../mqtt/packet.ts';
import type { LiveSubscription } from '../route/client-port.ts';
import type { AckOrder } from './ack-order.ts';
import type { Aliases } from './aliases.ts';
import type { Received, RetainedToClient } from './parts.ts';
import type { SendWindow, Sharing } from './send-window.ts';
import type { SentAliases } from './sent-aliases.ts';

export abstract class ConnectionState {
  version: ProtocolVersion = 4;
  clientId = '';
  epoch = 0;
  persistent = false;
  resumed = false;
  rights: Rights | null = null;
  expirySeconds = 0;
  keepAliveMs = 0;
  receiveMaximum = 65535;
  maximumPacketSize = 0;
  /** DISCONNECT 0x00 came, of a client without a session: what it published just before is not sent again. */
  saidAll = false;
  subscriptions: Map<string, LiveSubscription> | null = null;
  filterBytes = 0;
  /** What leaders of groups on other nodes know of its window, by node. */
  sharing: Map<string, Sharing> | null = null;
  acks: AckOrder | null = null;
  out: SendWindow | null = null;
  received: Map<number, Received> | null = null;
  aliases: Aliases | null = null;
  sentAliases: SentAliases | null = null;
  retained: RetainedToClient | null = null;
  unacknowledged = 0;
  unacknowledgedBytes = 0;
  unread = 0;
  answerBytes = 0;
  undrainedBytes = 0;
  /** When CONNECT was accepted, in wall-clock milliseconds. */
  connectedMs = 0;
  /** The last refusal that it was told of, as a Reason Code, and when; 0 for none. */
  lastErrorCode = 0;
  lastErrorMs = 0;
  /** What came and went since it was accepted; a packet counts once it is whole. */
  packetsReceived = 0;
  bytesReceived = 0;
  packetsSent = 0;
  bytesSent = 0;
}
