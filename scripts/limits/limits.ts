/**
 * docs/LIMITS.md from the source: every key of `limits`, and every constant that is a bound.
 *
 * A bound is a constant named `…_MAX` (a unit may follow). The sentence above it says what it
 * bounds and what happens beyond, or else `MEANINGS` does; one without either is an error, so that no
 * bound is silent.
 */
import { globSync, readFileSync } from 'node:fs';
import { configSections } from '../../packages/broker/src/config-schema.ts';

export interface Bound {
  readonly name: string;
  readonly value: number;
  /** Path from the root of the repository. */
  readonly path: string;
  readonly sentence: string;
}

/** Sentences of bounds whose code speaks for itself; one that is no longer needed is an error. */
export const MEANINGS: Readonly<Record<string, string>> = {
  'packages/broker/src/config.ts FILE_CHARACTERS_MAX':
    'Characters of a configuration file; a larger one is refused.',
  'packages/broker/src/edge/admin/admin-api.ts BODY_BYTES_MAX':
    'Bytes of the body of a request to the admin API; a larger one is refused.',
  'packages/broker/src/edge/admin/backend-status.ts EXAMPLES_MAX':
    'Under-replicated shards that a status names; all of them are counted.',
  'packages/broker/src/edge/link/peer-link.ts REDIAL_MAX_MS':
    'Longest pause between two attempts to reach a peer.',
  'packages/broker/src/edge/link/peer-link.ts PENDING_BYTES_MAX':
    'Bytes that wait to be sent to one peer; beyond, its link is reset.',
  'packages/broker/src/node/ask/asking.ts CHARACTERS_MAX':
    'Characters of Client Identifiers or Topic Filters in one answer to another node.',
  'packages/broker/src/store/memory-store.ts UNSYNCED_BATCHES_MAX':
    'Batches that a memory store keeps for a crash; beyond, the oldest counts as synced.',
  'packages/swim/src/core/dissemination.ts MISFITS_MAX':
    'Updates skipped in one packet because they do not fit.',
  'packages/swim/src/core/event-codec.ts EVENT_NAME_BYTES_MAX':
    'Bytes of the name of a user event.',
  'packages/swim/src/core/event-codec.ts EVENT_PAYLOAD_BYTES_MAX':
    'Bytes of the payload of a user event.',
  'packages/swim/src/core/message.ts CLUSTER_ID_BYTES_MAX': 'Bytes of a cluster id.',
  'packages/swim/src/core/message.ts ADDRESS_BYTES_MAX': 'Bytes of an address.',
  'packages/swim/src/core/message.ts META_BYTES_MAX': 'Bytes of the metadata of a member.',
  'packages/swim/src/core/message.ts EVENT_BYTES_MAX':
    'Bytes of the encoded form of a user event; a larger one is refused.',
  'packages/swim/src/core/probe.ts HELP_MS_MAX':
    'Longest time for which a probe on behalf of another member is remembered.',
  'packages/swim/src/runtime/resolver.ts NAMES_MAX':
    'Host names whose address is remembered; beyond, all are looked up again.',
  'packages/swim/src/runtime/bind.ts ATTEMPTS_MAX':
    'Attempts to find a port that is free for both UDP and TCP.',
};

/** A document comment or line comments, then the constant with a value of plain arithmetic. */
const CONSTANT = /^(?:export )?const ([A-Z][A-Z0-9_]*_MAX(?:_[A-Z]+)?) = ([\d_a-fx*+\- ()]+);/;

/** The bounds that one source file names. */
export function boundsOf(path: string, text: string): Bound[] {
  const lines = text.split('\n');
  const bounds: Bound[] = [];
  lines.forEach((line, index) => {
    const [, name, expression] = CONSTANT.exec(line) ?? [];
    if (name === undefined || expression === undefined) return;
    const sentence = commentAbove(lines, index) || (MEANINGS[`${path} ${name}`] ?? '');
    bounds.push({ name, value: product(expression), path, sentence });
  });
  return bounds;
}

/** `64 * 1024 * 1024`, `5 + 268_435_455`, `0xffff`: sums of products of plain numbers. */
function product(expression: string): number {
  const terms = expression.replace(/[_() ]/g, '').split('+');
  return terms.reduce(
    (sum, term) => sum + term.split('*').reduce((value, factor) => value * Number(factor), 1),
    0,
  );
}

function commentAbove(lines: readonly string[], index: number): string {
  const words: string[] = [];
  let at = index - 1;
  const block = lines[at]?.trimEnd().endsWith('*/') ?? false;
  while (at >= 0) {
    const line = lines[at] ?? '';
    if (!block && !/^\s*\/\//.test(line)) break;
    words.unshift(line.replace(/^\s*(\/\*\*?|\*\/|\*|\/\/)?\s?|\s*\*\/\s*$/g, '').trim());
    if (block && line.includes('/*')) break;
    at--;
  }
  return words
    .join(' ')
    .replace(/\{@link (\S+)\}/g, '`$1`')
    .trim();
}

/** Bounds of the packages that run in production, in the order of their files. */
export function allBounds(): Bound[] {
  return globSync('packages/{swim,broker}/src/**/*.ts')
    .filter((path) => !path.endsWith('.test.ts') && !path.includes('/src/sim/'))
    .sort()
    .flatMap((path) => boundsOf(path, readFileSync(path, 'utf8')));
}

const number = (value: number) => value.toLocaleString('en-US');
const cell = (text: string) => text.replaceAll('|', '\\|');

export function limitsDocument(): string {
  const limits = configSections().find((section) => section.name === 'limits');
  const settings = (limits?.keys ?? []).map(
    (key) => `| \`${key.key}\` | ${number(Number(key.default))} | ${cell(key.description)} |`,
  );
  const constants = allBounds().map(({ name, value, path, sentence }) => {
    const file = path.replace(/^packages\//, '').replace('/src/', '/');
    return `| \`${name}\` | ${number(value)} | ${file} | ${cell(sentence)} |`;
  });
  return `# Limits

Printed by \`node --conditions=shoal-source scripts/limits/main.ts\`; do not edit.

Everything that could grow has a bound: a queue, a buffer, a table, a message, a wait. What goes
beyond it is refused, dropped or put off as the bound says, and counted ([METRICS](METRICS.md)).
Times are bounds too; those that can be set are in [CONFIGURATION](CONFIGURATION.md#timings).

## Memory

What clients can make a node hold adds up to this, beside about 150 MiB for the program and its store. The
metrics in brackets show where it stands.

| what | at most |
|---|---|
| publishes and other requests under way (\`shoal_mqtt_unanswered_bytes\`) | \`limits.nodePublishBytes\`, and for each connection one read of 64 KiB and what that completes, at most \`limits.maxPacketBytes\` |
| what waits for clients (\`shoal_mqtt_waiting_bytes\`) | \`limits.nodeBufferBytes\`, then 2 × 64 KiB for each connection, and what other nodes’ clients have under way for clients here that are behind |
| answers that clients do not take | 64 KiB for each connection, and those to one read |
| packets that are not complete | \`limits.maxPacketBytes\` for each connection that is sending one; over WebSocket as much again, and 64 KiB, for the message that holds it |
| connections that are not ready for MQTT | \`limits.handshakes\`, each with up to 16 KiB of headers and what TLS needs |
| QoS 0 messages under way to be retained | 16 MiB |
| topics that Topic Aliases stand for (\`shoal_mqtt_alias_characters\`) | 64 Mi characters, then 16 Ki for each connection |
| Topic Filters (\`shoal_filter_bytes\`) | \`limits.nodeSubscriptionBytes\`, about four times: the connection’s, the state’s, and the routes |
| queued messages (\`shoal_queued_bytes\`) | on disk; in memory 16 B for each message and session, 200 B for each that waits for a group, and \`limits.inflightBytes\` for each session that is being sent some |

## Settings

Per node unless it says otherwise; ranges, flags and variables are in
[CONFIGURATION](CONFIGURATION.md#limits).

| key | default | what it bounds |
|---|--:|---|
${settings.join('\n')}

## Constants

These cannot be set: they belong to a format or protect a node from its peers.

| constant | value | file | what it bounds |
|---|--:|---|---|
${constants.join('\n')}
`;
}
