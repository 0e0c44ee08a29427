/** Runs the test of a statement on a copy of the broker without it: `npm run conformance`. */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mutated } from '../sim/mutations/mutants.ts';
import { SWITCHED_OFF, type SwitchedOff } from './switched-off.ts';

const BROKER = join(import.meta.dirname, '../..');
const ROOT = join(BROKER, '../..');
const LIMIT_MS = 120_000;

async function fails(broker: string, { number, test }: SwitchedOff): Promise<boolean> {
  const grep = `MQTT-[^\\]]*${number.replaceAll('.', '\\.')}[^0-9]`;
  const args = ['--node-option', 'conditions=shoal-source', '--timeout', '30000'];
  const mocha = join(ROOT, 'node_modules/.bin/mocha');
  return await new Promise((resolve, reject) => {
    const how = { cwd: broker, timeout: LIMIT_MS };
    execFile(mocha, [...args, '--grep', grep, join(broker, test)], how, (error, stdout) => {
      if (!/\d+ (passing|failing)/.test(stdout)) reject(new Error(`${number}: ${stdout}`));
      else if (/^ {2}0 passing/m.test(stdout) && !/failing/.test(stdout))
        reject(new Error(`${number}: no test in ${test}`));
      else resolve(error !== null);
    });
  });
}

const copy = await mkdtemp(join(tmpdir(), 'shoal-statements-'));
try {
  const broker = join(copy, 'packages/broker');
  for (const part of ['src', 'test', 'package.json'])
    await cp(join(BROKER, part), join(broker, part), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  let unseen = 0;
  for (const off of SWITCHED_OFF) {
    const { number: name, file } = off;
    const path = join(broker, 'src', file);
    const source = await readFile(path, 'utf8');
    const control = await fails(broker, off);
    await writeFile(path, await mutated({ name, ...off }));
    const noticed = !control && (await fails(broker, off));
    await writeFile(path, source);
    if (!noticed) unseen++;
    process.stdout.write(`${name} ${noticed ? 'noticed' : control ? 'FAILS WITHOUT' : 'UNSEEN'}\n`);
  }
  process.stdout.write(`${SWITCHED_OFF.length - unseen} of ${SWITCHED_OFF.length} noticed\n`);
  process.exitCode = unseen === 0 ? 0 : 1;
} finally {
  await rm(copy, { recursive: true });
}
