/**
 * The command line from its sources, without a build: what bin/shoal.js does with dist/.
 *
 *     node --conditions=shoal-source packages/cli/test/commands/run-source.ts cluster status
 */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { execute } from '@oclif/core';

const root = fileURLToPath(new URL('../../', import.meta.url));
const pjson = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
pjson.oclif.commands.target = './src/commands';
pjson.oclif.hooks.command_not_found = './src/hooks/command-not-found';
await execute({ loadOptions: { root, pjson, ignoreManifest: true } });
