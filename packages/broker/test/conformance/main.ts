/** Prints docs/CONFORMANCE.md. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, typeScript } from '../house/files.ts';
import { citationsOf, conformanceDocument, untestedOf } from './table.ts';

const citations = typeScript().flatMap(({ path, text }) => citationsOf(path, text));
writeFileSync(join(root, 'docs/CONFORMANCE.md'), conformanceDocument(citations));
for (const line of untestedOf(citations)) process.stdout.write(`no test: ${line}\n`);
