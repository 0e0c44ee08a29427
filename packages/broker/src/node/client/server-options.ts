/**
 * What a listener offers its clients, as its connections see it. MQTT 5 clients are told most of it in
 * CONNACK (§3.2.2.3); all of it is enforced.
 */
import type { Limits } from '../../config-schema.ts';
import type { ServerSettings } from '../../config-server-options.ts';
import { TextRule } from '../../config-text-rule.ts';
import type { ListenerRules } from '../../ports.ts';

/** What one listener offers; all its connections share the value. */
export interface ServerOptions {
  /** Protocol levels: 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0. */
  readonly versions: readonly number[];
  /** QoS 1 and 2 publishes of one connection under way. */
  readonly receiveMaximum: number;
  /** Bytes. */
  readonly maximumPacketSize: number;
  /** Bytes of one payload. */
  readonly payloadBytes: number;
  /** Topic Aliases that a client may define. */
  readonly topicAliasMaximum: number;
  /** Topic Aliases that the server defines for a client, if the client allows as many. */
  readonly topicAliasesSent: number;
  readonly sessionExpiryMaxSeconds: number;
  /** Subscriptions of one session. */
  readonly subscriptions: number;
  readonly topicLevels: number;
  readonly clientIdBytes: number;
  /** Seconds; 0: the client’s own. */
  readonly serverKeepAlive: number;
  readonly maximumQos: 0 | 1 | 2;
  readonly retainAvailable: boolean;
  readonly wildcardAvailable: boolean;
  readonly sharedAvailable: boolean;
  readonly identifiersAvailable: boolean;
  /** With `{clientId}` where that is to stand; '' for none. */
  readonly responseInformation: string;
  readonly assignedIdPrefix: string;
  readonly checkPayloadFormat: boolean;
  readonly text: TextRule;
}

const TEXT_RULES = {
  accept: TextRule.Any,
  'in-values': TextRule.PlainNames,
  refuse: TextRule.Plain,
} as const;

/** What a node offers, where its listeners say nothing else. */
export function serverOptions(mqtt: ServerSettings, limits: Limits): ServerOptions {
  const level = (name: string) => (name === '3.1' ? 3 : name === '3.1.1' ? 4 : 5);
  return {
    versions: [...new Set(mqtt.protocolVersions.map((name) => level(String(name))))],
    receiveMaximum: limits.publishesInFlight,
    maximumPacketSize: limits.maxPacketBytes,
    payloadBytes: limits.payloadBytes,
    topicAliasMaximum: limits.topicAliases,
    topicAliasesSent: limits.topicAliasesSent,
    sessionExpiryMaxSeconds: limits.sessionExpiryMaxSeconds,
    subscriptions: limits.subscriptionsPerSession,
    topicLevels: limits.topicLevels,
    clientIdBytes: limits.clientIdBytes,
    serverKeepAlive: mqtt.serverKeepAlive,
    maximumQos: mqtt.maximumQos as 0 | 1 | 2,
    retainAvailable: mqtt.retainAvailable,
    wildcardAvailable: mqtt.wildcardSubscriptionAvailable,
    sharedAvailable: mqtt.sharedSubscriptionAvailable,
    identifiersAvailable: mqtt.subscriptionIdentifiersAvailable,
    responseInformation: mqtt.responseInformation ?? '',
    assignedIdPrefix: mqtt.assignedIdPrefix,
    checkPayloadFormat: mqtt.checkPayloadFormat,
    text: TEXT_RULES[mqtt.controlCharacters],
  };
}

/** What a listener with rules of its own offers: no more than its node. */
export function optionsWith(options: ServerOptions, rules: ListenerRules): ServerOptions {
  const { protocolVersions, maximumQos = 2 } = rules;
  const less = (most: number, own: number | undefined) => Math.min(most, own ?? most);
  const keepAlives = [options.serverKeepAlive, rules.serverKeepAlive ?? 0].filter((s) => s > 0);
  return {
    ...options,
    receiveMaximum: less(options.receiveMaximum, rules.publishesInFlight),
    maximumPacketSize: less(options.maximumPacketSize, rules.maxPacketBytes),
    payloadBytes: less(options.payloadBytes, rules.payloadBytes),
    topicAliasMaximum: less(options.topicAliasMaximum, rules.topicAliases),
    sessionExpiryMaxSeconds: less(options.sessionExpiryMaxSeconds, rules.sessionExpiryMaxSeconds),
    subscriptions: less(options.subscriptions, rules.subscriptionsPerSession),
    topicLevels: less(options.topicLevels, rules.topicLevels),
    serverKeepAlive: keepAlives.length === 0 ? 0 : Math.min(...keepAlives),
    maximumQos: Math.min(options.maximumQos, maximumQos) as 0 | 1 | 2,
    retainAvailable: options.retainAvailable && rules.retainAvailable !== false,
    wildcardAvailable: options.wildcardAvailable && rules.wildcardSubscriptionAvailable !== false,
    sharedAvailable: options.sharedAvailable && rules.sharedSubscriptionAvailable !== false,
    identifiersAvailable:
      options.identifiersAvailable && rules.subscriptionIdentifiersAvailable !== false,
    versions: options.versions.filter((level) => protocolVersions?.includes(level) ?? true),
  };
}
