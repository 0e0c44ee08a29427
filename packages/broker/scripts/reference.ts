/**
 * Writes docs/CONFIGURATION.md, docs/ERRORS.md and docs/METRICS.md from the tables in the source.
 *
 *     node --conditions=shoal-source packages/broker/scripts/reference.ts
 *
 * test/reference/reference.test.ts fails while a file and its table differ.
 */

import { writeFileSync } from 'node:fs';
import { configReference } from '../src/config-reference.ts';
import { metricsReference } from '../src/edge/admin/metrics.ts';
import { BROKER_ERRORS, type ErrorEntry, EXIT_CODES } from '../src/errors.ts';

/** File name under docs/ → its text. */
export function referenceFiles(): Readonly<Record<string, string>> {
  return {
    'CONFIGURATION.md': configReference(),
    'ERRORS.md': errorReference(),
    'METRICS.md': metricsReference(),
  };
}

function errorReference(): string {
  const errors: [string, ErrorEntry][] = Object.entries(BROKER_ERRORS);
  const rows = errors.map(
    ([code, { message, exitCode, httpStatus, remedy }]) =>
      `| \`${code}\` | ${exitCode} | ${httpStatus ?? ''} | ${message}. | ${remedy} |`,
  );
  return `# Errors

Printed from \`packages/broker/src/errors.ts\`; do not edit.

Programs match the code; messages may change. \`shoal\` prints code, message and remedy to stderr, with
\`--json\` as one line \`{"code":…,"message":…,"remedy":…}\`, and exits with the code’s own exit code. The admin
API answers with the same three fields and the HTTP status (500 where the table has none).

| exit code | meaning |
|---|---|
| ${EXIT_CODES.ok} | Done. |
| ${EXIT_CODES.failure} | The command ran and its result is a failure, or a failure without a code. |
| ${EXIT_CODES.usage} | Wrong command line: an unknown command or flag, a missing argument. |
| 10 to 99 | An error of the table below. |
| ${EXIT_CODES.interrupted} | A second SIGINT: stopped without draining. |
| ${EXIT_CODES.terminated} | A second SIGTERM: stopped without draining. |

| code | exit code | HTTP | message | remedy |
|---|---|---|---|---|
${rows.join('\n')}
`;
}

if (import.meta.main) {
  for (const [name, text] of Object.entries(referenceFiles())) {
    writeFileSync(new URL(`../../../docs/${name}`, import.meta.url), text);
  }
}
