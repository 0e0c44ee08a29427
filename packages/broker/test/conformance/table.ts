/** Which tests show which statement: from the titles of tests to docs/CONFORMANCE.md. */
import { MQTT_3, MQTT_5, REASONS, type Statement } from './statements.ts';

/** One `[MQTT-3.1.2-1, 3.1.2-2 of 3.1.1]`: numbers of one version. */
export interface Citation {
  readonly path: string;
  readonly version: 3 | 5;
  readonly number: string;
  /** In the title of a test. */
  readonly isTest: boolean;
}

const CITED = /\[MQTT-(\d+(?:\.\d+)+-\d+(?:, \d+(?:\.\d+)+-\d+)*)(?: to (\d+))?( of 3\.1\.1)?\]/g;

function numbersOf(list: string, upTo: string | undefined): string[] {
  const numbers = list.split(', ');
  const [, stem = '', first = ''] = /^(.*-)(\d+)$/.exec(numbers.at(-1) ?? '') ?? [];
  for (let n = Number(first) + 1; n <= Number(upTo ?? 0); n++) numbers.push(`${stem}${n}`);
  return numbers;
}

export function citationsOf(path: string, text: string): Citation[] {
  const found: Citation[] = [];
  for (const line of text.split('\n')) {
    const isTest = path.endsWith('.test.ts') && /\bit\(\s*['"`]|^\s*['"`]\[MQTT/.test(line);
    for (const [, list = '', upTo, old] of line.matchAll(CITED))
      for (const number of numbersOf(list, upTo))
        found.push({ path, version: old === undefined ? 5 : 3, number, isTest });
  }
  return found;
}

export const STATEMENTS = { 3: MQTT_3, 5: MQTT_5 } as const;

/** Numbers that are cited and do not exist. */
export function unknownOf(citations: readonly Citation[]): string[] {
  return citations
    .filter(({ version, number }) => !STATEMENTS[version].some((s) => s.number === number))
    .map(({ path, version, number }) => `${path}: ${number} of ${version === 5 ? '5.0' : '3.1.1'}`);
}

/** Statements for the server without a test. */
export function untestedOf(citations: readonly Citation[]): string[] {
  return ([3, 5] as const).flatMap((version) =>
    STATEMENTS[version]
      .filter(
        ({ kind, number }) => kind === 'server' && !testsOf(citations, version, number).length,
      )
      .map(({ number, text }) => `${number} of ${version === 5 ? '5.0' : '3.1.1'}: ${text}`),
  );
}

function testsOf(citations: readonly Citation[], version: 3 | 5, number: string): string[] {
  const paths = citations
    .filter((c) => c.isTest && c.version === version && c.number === number)
    .map(({ path }) => path);
  return [...new Set(paths)].sort();
}

const HEAD = `# Conformance

Printed by \`npm run conformance:table\`; do not edit.

Every normative statement of MQTT 5.0 and of MQTT 3.1.1 by its number, in short, and the tests that cite it in their
titles; or why there is none. A unit test fails for a number that is cited and does not exist, and for a statement
that binds the server and has no test. The suites in \`packages/broker/test/conformance\` run with whole packets in
a read and with single bytes, on one node and with each connection at the next of three. How twenty statements are switched off: [TESTING](TESTING.md#conformance).

## MQTT 3.1

Its text has no numbered statements. A client of MQTT 3.1 is one of 3.1.1, but for what its text has differently:

| MQTT 3.1 | test |
|---|---|
| the protocol is MQIsdp, level 3 | \`packages/broker/test/node/server-options.test.ts\` |
| there is no Session Present | \`packages/broker/test/node/clauses.test.ts\` |
| an empty Client Identifier is refused with 0x02, one of more than 23 characters is accepted | \`packages/broker/test/conformance/old.test.ts\` |
| SUBSCRIBE, UNSUBSCRIBE and PUBREL may carry DUP | \`packages/broker/test/conformance/old.test.ts\` |
| SUBACK knows no refusal: a filter that is refused gets 0x80, whose QoS bits are 0 | \`packages/broker/test/conformance/old.test.ts\` |
`;

/** The document. */
export function conformanceDocument(citations: readonly Citation[]): string {
  return [HEAD, section(citations, 5), section(citations, 3)].join('\n');
}

function section(citations: readonly Citation[], version: 3 | 5): string {
  const rows = STATEMENTS[version].map(
    (s) => `| ${s.number} | ${s.text} | ${shownBy(citations, version, s)} |`,
  );
  const title = version === 5 ? 'MQTT 5.0' : 'MQTT 3.1.1';
  return `## ${title}\n\n| number | statement | tests |\n|---|---|---|\n${rows.join('\n')}\n`;
}

function shownBy(citations: readonly Citation[], version: 3 | 5, s: Statement): string {
  const tests = testsOf(citations, version, s.number);
  if (tests.length > 0) return tests.map((path) => `\`${path}\``).join(', ');
  return s.kind === 'server' ? '**none**' : REASONS[s.kind];
}
