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

/** The whole reference as Markdown. */
export function configReference(): string {
  const parts = [INTRODUCTION];
  for (const section of configSections()) {
    const rows = section.keys.map(
      (key) =>
        `| \`${key.key}\` | ${typeText(key)} | ${defaultText(key)} | ${escapeCell(key.description)} | ${key.flag ? `\`${key.flag}\`` : ''} | \`${key.variable}\` |`,
    );
    parts.push(
      `## ${section.name}\n\n${section.description}\n\n| key | type | default | meaning | flag | environment |\n|---|---|---|---|---|---|\n${rows.join('\n')}\n`,
    );
  }
  return parts.join('\n');
}

function typeText(key: ConfigKey): string {
  if (key.choices !== undefined) return key.choices.map((choice) => `\`${choice}\``).join(', ');
  if (key.key === 'cluster.discovery') return 'list of texts';
  if (key.type === 'mappings') return 'list of mappings';
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
