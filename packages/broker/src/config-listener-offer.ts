/** Fields by which a listener offers its clients less than its node does. */
import { z } from 'zod';

const count = (least: number) => z.int().min(least).max(4_294_967_295).optional();
const available = () => z.boolean().optional();

/** The fields in the schema of a listener. */
export const offerFields = {
  publishesInFlight: count(1),
  payloadBytes: count(0),
  topicAliases: count(0),
  sessionExpiryMaxSeconds: count(0),
  subscriptionsPerSession: count(1),
  topicLevels: count(1),
  serverKeepAlive: count(0),
  maximumQos: z.int().min(0).max(2).optional(),
  retainAvailable: available(),
  wildcardSubscriptionAvailable: available(),
  sharedSubscriptionAvailable: available(),
  subscriptionIdentifiersAvailable: available(),
};

const offer = z.object(offerFields);

/** By the names of the node's settings, with their units; absent where the node's own holds. */
export type ListenerOffer = Readonly<z.output<typeof offer>>;

/** Each field, and the key of the node that it is held to. */
export const OFFER_KEYS: Readonly<Record<keyof ListenerOffer, string>> = {
  publishesInFlight: 'limits.publishesInFlight',
  payloadBytes: 'limits.payloadBytes',
  topicAliases: 'limits.topicAliases',
  sessionExpiryMaxSeconds: 'limits.sessionExpiryMaxSeconds',
  subscriptionsPerSession: 'limits.subscriptionsPerSession',
  topicLevels: 'limits.topicLevels',
  serverKeepAlive: 'mqtt.serverKeepAlive',
  maximumQos: 'mqtt.maximumQos',
  retainAvailable: 'mqtt.retainAvailable',
  wildcardSubscriptionAvailable: 'mqtt.wildcardSubscriptionAvailable',
  sharedSubscriptionAvailable: 'mqtt.sharedSubscriptionAvailable',
  subscriptionIdentifiersAvailable: 'mqtt.subscriptionIdentifiersAvailable',
};

/** The fields with a value of this kind. */
export const offerFieldsOf = (kind: 'number' | 'boolean'): string[] =>
  Object.keys(offerFields).filter((field) => field.endsWith('Available') === (kind === 'boolean'));

type Node = Readonly<Record<'limits' | 'mqtt', object>>;

/** Fields by which a listener would offer more than its node: field, value and text. */
export function* offerProblems(
  listener: ListenerOffer,
  node: Node,
): Generator<readonly [field: string, value: unknown, text: string]> {
  for (const [field, key] of Object.entries(OFFER_KEYS)) {
    const value: unknown = listener[field as keyof ListenerOffer];
    const [section, leaf] = key.split('.') as ['limits' | 'mqtt', string];
    const most = (node[section] as Readonly<Record<string, unknown>>)[leaf];
    if (value === true && most === false) yield [field, value, `must be false as ${key} is`];
    if (typeof value !== 'number' || typeof most !== 'number') continue;
    // A Server Keep Alive of 0 is none, which is the longest.
    const none = field === 'serverKeepAlive' ? Number.POSITIVE_INFINITY : 0;
    if ((value || none) > (most || none))
      yield [field, value, `must be at most ${key} (${most})${value === 0 ? ', and not 0' : ''}`];
  }
}

/** What of a listener is an offer. */
export function offerOf(listener: ListenerOffer): ListenerOffer {
  const fields = Object.keys(OFFER_KEYS) as (keyof ListenerOffer)[];
  return Object.fromEntries(fields.map((field) => [field, listener[field]]));
}
