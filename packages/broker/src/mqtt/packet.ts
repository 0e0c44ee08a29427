/**
 * MQTT Control Packets in the words of the specification: plain data, types only.
 *
 * Property values keep the specification's units (seconds for intervals, bytes for sizes). A
 * property that is absent on the wire is absent here; its default is the reader's business.
 */

/** 3 is MQTT 3.1 (protocol name "MQIsdp"), 4 is 3.1.1, 5 is 5.0. */
export type ProtocolVersion = 3 | 4 | 5;

export type QoS = 0 | 1 | 2;

/** Control packet types (§2.1.2): the high four bits of the first byte. */
export const PacketType = {
  Connect: 1,
  Connack: 2,
  Publish: 3,
  Puback: 4,
  Pubrec: 5,
  Pubrel: 6,
  Pubcomp: 7,
  Subscribe: 8,
  Suback: 9,
  Unsubscribe: 10,
  Unsuback: 11,
  Pingreq: 12,
  Pingresp: 13,
  Disconnect: 14,
  Auth: 15,
} as const;

/** Name and value, in the order of the wire, repeats included [MQTT-3.3.2-18]. */
export type UserProperties = readonly (readonly [name: string, value: string])[];

/** Properties of PUBLISH and, but for the last two, of a Will (§3.3.2.3). */
export interface PublishProperties {
  /** 1: the payload is UTF-8 text. */
  payloadFormatIndicator?: number;
  /** Seconds. */
  messageExpiryInterval?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Uint8Array;
  userProperties?: UserProperties;
  /** 1 to 65,535. Belongs to one connection: never forwarded. */
  topicAlias?: number;
  /** 1 to 268,435,455 each. Server to client only. */
  subscriptionIdentifiers?: readonly number[];
}

export interface WillProperties extends Omit<PublishProperties, 'topicAlias'> {
  /** Seconds. */
  willDelayInterval?: number;
}

export interface Will {
  topic: string;
  payload: Uint8Array;
  qos: QoS;
  retain: boolean;
  properties: WillProperties;
}

export interface ConnectProperties {
  /** Seconds; 0xFFFFFFFF: the session does not expire. */
  sessionExpiryInterval?: number;
  receiveMaximum?: number;
  /** Bytes. */
  maximumPacketSize?: number;
  topicAliasMaximum?: number;
  requestResponseInformation?: number;
  requestProblemInformation?: number;
  authenticationMethod?: string;
  authenticationData?: Uint8Array;
  userProperties?: UserProperties;
}

export interface Connect {
  type: 'connect';
  protocolVersion: ProtocolVersion;
  cleanStart: boolean;
  clientId: string;
  keepAliveSeconds: number;
  username?: string;
  password?: Uint8Array;
  will?: Will;
  properties: ConnectProperties;
}

export interface Subscription {
  /** Well-formed; whether the server allows it is another matter. */
  filter: string;
  qos: QoS;
  noLocal: boolean;
  retainAsPublished: boolean;
  /** 0 always, 1 only for a new subscription, 2 never (§3.8.3.1). */
  retainHandling: 0 | 1 | 2;
}

export interface Subscribe {
  type: 'subscribe';
  packetId: number;
  subscriptions: Subscription[];
  subscriptionIdentifier?: number;
  userProperties?: UserProperties;
}

export interface Unsubscribe {
  type: 'unsubscribe';
  packetId: number;
  filters: string[];
  userProperties?: UserProperties;
}

export interface DisconnectProperties {
  /** Seconds. Client to server only. */
  sessionExpiryInterval?: number;
  reasonString?: string;
  /** Server to client only. */
  serverReference?: string;
  userProperties?: UserProperties;
}

export interface Disconnect {
  type: 'disconnect';
  reasonCode: number;
  properties: DisconnectProperties;
}

export interface Auth {
  type: 'auth';
  reasonCode: number;
  properties: {
    authenticationMethod?: string;
    authenticationData?: Uint8Array;
    reasonString?: string;
    userProperties?: UserProperties;
  };
}

/** The control packets that a client may send, other than PUBLISH, its acknowledgements, PINGREQ. */
export type ControlPacket = Connect | Subscribe | Unsubscribe | Disconnect | Auth;

export interface ConnackProperties {
  /** Seconds. */
  sessionExpiryInterval?: number;
  receiveMaximum?: number;
  maximumQoS?: 0 | 1;
  retainAvailable?: boolean;
  /** Bytes. */
  maximumPacketSize?: number;
  assignedClientIdentifier?: string;
  topicAliasMaximum?: number;
  reasonString?: string;
  wildcardSubscriptionAvailable?: boolean;
  subscriptionIdentifiersAvailable?: boolean;
  sharedSubscriptionAvailable?: boolean;
  /** Seconds. */
  serverKeepAlive?: number;
  responseInformation?: string;
  serverReference?: string;
  authenticationMethod?: string;
  authenticationData?: Uint8Array;
  userProperties?: UserProperties;
}
