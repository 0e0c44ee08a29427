/** Keys of `mqtt` that say what clients are offered: most of it they are told in CONNACK (§3.2.2.3). */
import { z } from 'zod';
import { integer, key } from './config-types.ts';

const VERSION_NAMES = ['3.1', '3.1.1', '5', '5.0'] as const;

/** A version as YAML reads it without quotes: 3.1 and 5.0 are numbers there. */
const version = () =>
  z.union([z.enum(VERSION_NAMES), z.literal([3.1, 5])], { error: 'must be 3.1, 3.1.1 or 5' });

const prefix = () =>
  z
    .string()
    .max(64)
    .regex(/^[^\p{Cc}\p{Cs}/+#]*$/u, 'must have no control characters, and none of / + #');

const available = (what: string) =>
  key(z.boolean().default(true), { description: `${what} A client is told in CONNACK.` });

/** Keys of the section `mqtt`. */
export const serverOptionKeys = {
  protocolVersions: key(z.array(version()).min(1).max(4).default(['3.1', '3.1.1', '5']), {
    description:
      'Versions of MQTT that clients may speak: `3.1`, `3.1.1`, `5`. A CONNECT of another one is refused (0x84; before MQTT 5, 0x01).',
  }),
  serverKeepAlive: key(integer(0, 65_535).default(0), {
    description:
      'Longest Keep Alive in seconds. An MQTT 5 client that asks for a longer one, or for none, is told this one (Server Keep Alive), and it holds. Earlier versions cannot be told: their own holds. 0: every client’s own.',
  }),
  maximumQos: key(integer(0, 2).default(2), {
    description:
      'Highest QoS (Maximum QoS). A PUBLISH above ends the connection (0x9B), a Will above is refused with its CONNECT (0x9B), a subscription above is granted at this QoS.',
  }),
  retainAvailable: available(
    'Whether clients may publish retained messages. If not, a PUBLISH with RETAIN ends the connection (0x9A), a Will with RETAIN is refused with its CONNECT (0x9A), and a SUBSCRIBE brings no retained messages.',
  ),
  wildcardSubscriptionAvailable: available(
    'Whether Topic Filters may have wildcards. If not, such a SUBSCRIBE ends the connection (0xA2); before MQTT 5 the filter is refused (0x80).',
  ),
  sharedSubscriptionAvailable: available(
    'Whether clients may subscribe to Shared Subscriptions (`$share/…`). If not, such a SUBSCRIBE ends the connection (0x9E); before MQTT 5 the filter is refused (0x80).',
  ),
  subscriptionIdentifiersAvailable: available(
    'Whether a SUBSCRIBE may have a Subscription Identifier. If not, it ends the connection (0xA1).',
  ),
  responseInformation: key(z.string().min(1).max(1024).optional(), {
    description:
      'Response Information for a client that requests it in CONNECT, as a rule the beginning of its Response Topics; `{clientId}` stands for its Client Identifier. A client whose Client Identifier makes no Topic Name of it gets none.',
    'x-default': 'none',
  }),
  assignedIdPrefix: key(prefix().default('shoal-'), {
    description:
      'Beginning of the Client Identifier of a client that brings none (Assigned Client Identifier).',
  }),
  checkPayloadFormat: key(z.boolean().default(false), {
    description:
      'Whether a payload that its publisher says to be UTF-8 (Payload Format Indicator 1) is checked. One that is not is refused: 0x99 in PUBACK, PUBREC or CONNACK; at QoS 0 it ends the connection.',
  }),
  controlCharacters: key(z.enum(['in-values', 'refuse', 'accept']).default('in-values'), {
    description:
      'Where control characters (U+0001 to U+001F, U+007F to U+009F) and non-characters (as U+FFFF) may stand: `in-values`, which are all strings but Topic Names, Topic Filters and Response Topics; nowhere (`refuse`); everywhere (`accept`). Elsewhere their packet is malformed (0x81), and the Client Identifier not valid (0x85).',
  }),
  sysIntervalSeconds: key(integer(0, 86_400).default(10), {
    description:
      'Seconds between two looks at the values of `$SYS`; those that have changed are published to subscribers of this node. 0: `$SYS` has none.',
  }),
  upgradeOutgoingQos: key(
    z
      .boolean()
      .default(false)
      .refine(
        (upgrade) => !upgrade,
        '`true` is not offered: MQTT has a message delivered at most at the QoS of its PUBLISH [MQTT-3.8.4-8]; publish at the QoS that subscribers need',
      ),
    {
      description:
        'Whether messages are delivered at the QoS of the subscription though they were published at a lower one. Only `false`: the standard forbids it.',
    },
  ),
};

const serverKeys = z.object(serverOptionKeys);

/** The section `mqtt` as far as it is about what clients are offered. */
export type ServerSettings = Readonly<
  Omit<z.output<typeof serverKeys>, 'protocolVersions'> & {
    protocolVersions: readonly (string | number)[];
  }
>;
export const DEFAULT_SERVER_SETTINGS: ServerSettings = serverKeys.parse({});
