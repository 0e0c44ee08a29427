/** Writes docs/LIMITS.md; limits.test.ts fails while it differs from the source. */
import { writeFileSync } from 'node:fs';
import { limitsDocument } from './limits.ts';

writeFileSync('docs/LIMITS.md', limitsDocument());
