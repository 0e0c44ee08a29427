/** docs/CONFIGURATION.md and `shoal config reference`, printed from the schema. */

import { LISTENER_EXAMPLE } from './config-listeners.ts';
import { type ConfigKey, configSections } from './config-schema.ts';

const INTRODUCTION = `# Configuration

Printed by \`shoal config reference\`; do not edit.

A value comes from, weakest first: the default, the file (\`--config FILE\`, YAML, sections nested), the
environment, and flags (\`--set key=value\` reaches every key). Lists are separated by commas in the
environment and in \`--set\`; in a file, a list of one may be written as its element. A key, a type or a combination that is wrong stops the start, with everything
that is wrong named at once; nothing is ignored. \`shoal config check\` does the same without starting,
\`shoal config show\` prints each value and where it came from.

\`\`\`yaml
node:
  name: n1
  zone: east
data:
  dir: /var/lib/shoal
mqtt:
  listeners:
    - ${LISTENER_EXAMPLE}
cluster:
  listen: 10.0.0.1:7700
  join: ["10.0.0.2:7700", "10.0.0.3:7700"]
\`\`\`

Sizes are in bytes, times in milliseconds or as the key's last word says.
`;

const LISTENER_REFERENCE = `### Listeners

Fields of an entry of \`mqtt.listeners\`, and of the short form. A list may be written as its element.

| field | transports | default | meaning |
|---|---|---|---|
| \`name\` | all | **required** | Name of the listener, unique in its node; the short form numbers them: \`tls-1\`. |
| \`transport\` | | \`tcp\` | \`tcp\`, \`tls\`, \`ws\` (WebSocket), \`wss\` (WebSocket over TLS) or \`unix\`. |
| \`address\` | all | **required** | HOST:PORT; for \`unix\` an absolute path. |
| \`cert\` | \`tls\`, \`wss\` | **required** | List of PEM files, each a certificate with the chain above it. The node chooses by the host that the client names (SNI), and uses the first where none matches. |
| \`key\` | \`tls\`, \`wss\` | **required** | List of PEM files of the private keys, in the same order. |
| \`minVersion\` | \`tls\`, \`wss\` | \`TLSv1.2\` | \`TLSv1.2\` or \`TLSv1.3\`. |
| \`clientCertificate\` | \`tls\`, \`wss\` | \`none\` | Whether clients show a certificate: \`none\`, \`optional\` (one that \`clientCa\` has not signed counts as none), \`required\`. |
| \`clientCa\` | \`tls\`, \`wss\` | none | PEM file of the authorities that sign certificates of clients. |
| \`path\` | \`ws\`, \`wss\` | \`/mqtt\` | Path of the URL. |
| \`origins\` | \`ws\`, \`wss\` | pages of this machine | List of origins of pages that may connect, as in \`https://app.example\`, or \`*\`. Clients that are no browsers send no origin, and may always connect. |
| \`mode\` | \`unix\` | \`"660"\` | Permissions of the socket in octal digits: who may write to it may connect. |
| \`ipv6Only\` | all but \`unix\` | \`false\` | A wildcard IPv6 address takes no IPv4 clients. |
| \`proxyFrom\` | all | none | List of proxies, as IP addresses, ranges (\`10.0.0.0/8\`) or \`unix\`. They have to begin with a PROXY header, version 1 or 2, whose address stands for the client’s. Other peers are clients. |
| \`maxConnections\` | all | \`limits.connections\` | Connections of this listener, besides those that all listeners share; further ones are refused (0x97; before MQTT 5, 0x03). |
| \`maxPacketBytes\` | all | \`limits.maxPacketBytes\` | Largest MQTT packet from its clients (Maximum Packet Size), at most that of the node. |
| \`protocolVersions\` | all | all three | List of \`3.1\`, \`3.1.1\` and \`5\`. A CONNECT of another version is refused: 0x84, or 0x01 before MQTT 5. |
| \`publishesInFlight\`, \`payloadBytes\`, \`topicAliases\`, \`sessionExpiryMaxSeconds\`, \`subscriptionsPerSession\`, \`topicLevels\` | all | those of \`limits\` | As the key of this name in \`limits\`, for its clients: at most that of the node. |
| \`serverKeepAlive\`, \`maximumQos\`, \`retainAvailable\`, \`wildcardSubscriptionAvailable\`, \`sharedSubscriptionAvailable\`, \`subscriptionIdentifiersAvailable\` | all | those of \`mqtt\` | As the key of this name in \`mqtt\`, for its clients: no more than the node offers. |

\`\`\`yaml
mqtt:
  listeners:
    - { name: local, address: "127.0.0.1:1883" }
    - { name: tls, transport: tls, address: "127.0.0.1:8883", cert: server.pem, key: server.key }
    - { name: web, transport: wss, address: "127.0.0.1:8884", cert: server.pem, key: server.key, origins: ["https://app.example"] }
\`\`\`
`;

/** The whole reference as Markdown. */
export function configReference(): string {
  const parts = [INTRODUCTION];
  for (const section of configSections()) {
    const rows = section.keys.map(
      (key) =>
        `| \`${key.key}\` | ${typeText(key)} | ${defaultText(key)} | ${escapeCell(key.description)} | ${key.flag ? `\`${key.flag}\`` : ''} | \`${key.variable}\` |`,
    );
    const more = section.name === 'mqtt' ? `\n${LISTENER_REFERENCE}` : '';
    parts.push(
      `## ${section.name}\n\n${section.description}\n\n| key | type | default | meaning | flag | environment |\n|---|---|---|---|---|---|\n${rows.join('\n')}\n${more}`,
    );
  }
  return parts.join('\n');
}

function typeText(key: ConfigKey): string {
  if (key.choices !== undefined) return key.choices.map((choice) => `\`${choice}\``).join(', ');
  if (key.key === 'cluster.discovery') return 'list of texts';
  if (key.key === 'mqtt.protocolVersions') return 'list of `3.1`, `3.1.1`, `5`';
  if (key.type === 'boolean') return '`true`, `false`';
  if (key.type === 'mappings') return 'list of mappings';
  if (key.key === 'mqtt.listen') return 'list of texts';
  if (key.key === 'mqtt.sharedStrategies') return 'list of NAME=STRATEGY';
  if (key.type === 'list') return 'list of HOST:PORT';
  if (/\.(listen|advertise)$/.test(key.key)) return 'HOST:PORT';
  if (key.type === 'string') return 'text';
  const range = key.minimum === undefined ? '' : ` ${key.minimum} to ${key.maximum}`;
  return `${key.type}${range}`;
}

function defaultText(key: ConfigKey): string {
  if (key.default === undefined) return key.required ? '**required**' : (key.defaultText ?? '');
  if (Array.isArray(key.default))
    return key.default.map((item) => `\`${item}\``).join(', ') || 'none';
  return `\`${String(key.default)}\``;
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|');
}
