import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const run = (file: string, args: readonly string[]) => {
  const path = fileURLToPath(new URL(`../../src/${file}`, import.meta.url));
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--conditions=shoal-source', path, ...args],
    { encoding: 'utf8' },
  );
  return { status, said: `${stdout}${stderr}` };
};

describe('command lines of the measurements', function () {
  this.timeout(60_000);

  for (const [file, wrong, reason] of [
    ['membership/main.ts', ['--agents', '3'], /--agents: '3' is not 12\.\.500[\s\S]*--kills N/],
    ['membership/main.ts', ['--preset', 'moon'], /--preset: 'moon' is none of lan, wan/],
    ['membership/beside.ts', ['--members', '3'], /--members: '3' is not 18\.\.200/],
    ['chaos/main.ts', ['--rounds', '0'], /--rounds: '0' is not 1\.\./],
    ['chaos/main.ts', ['--scenario', 'loss', '--shape', 'pair'], /--shape pair: loss has no such/],
    ['retained/main.ts', ['--topics', '9'], /--topics: '9' is not 1000\.\.5000000/],
    ['chaos/failover.ts', ['--runs', 'x'], /--runs: 'x' is not 1\.\.10000[\s\S]*--nodes N/],
  ] as const) {
    it(`${file} tells its options, and refuses ${wrong.join(' ')} by name`, () => {
      const help = run(file, ['--help']);
      assert.equal(help.status, 0, help.said);
      assert.match(help.said, /^npm run [a-z:]+ -- \[options\]\n/);
      const unknown = run(file, ['--nope']);
      assert.equal(unknown.status, 2);
      assert.match(unknown.said, /Unknown option '--nope'[\s\S]*npm run/);
      const refused = run(file, wrong);
      assert.equal(refused.status, 2);
      assert.match(refused.said, reason);
    });
  }
});
