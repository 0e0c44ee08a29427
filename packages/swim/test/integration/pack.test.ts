/** What `npm pack` makes works where nothing else of this repository is. */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const PACKAGE = fileURLToPath(new URL('../..', import.meta.url));
const MODULES = path.join(PACKAGE, '../../node_modules');
const TSC = path.join(MODULES, '.bin/tsc');

const PROGRAM = `
import { SwimAgent, type SwimMember, swimConfig } from '@shoal/swim';
import { Prng } from '@shoal/swim/sim';

const random: number = new Prng('x').next();
const members: readonly SwimMember[] = [];
export const start = () => SwimAgent.start;
export const config = swimConfig({ protocolPeriodMs: 1000 + random }, 'wan');
export const alive = members.filter(({ state }) => state === 'alive');
`;

const IN_A_THREAD = `
import { SwimThread, swimConfig } from '@shoal/swim';

const thread = await SwimThread.start({
  ...{ config: swimConfig(), name: 'a', bootEpoch: 1, clusterId: 'c', meta: new Uint8Array() },
  listen: '127.0.0.1:0',
  onFailure: (error) => { throw error; },
});
console.log(thread.members().map(({ name, state }) => name + '=' + state).join());
await thread.leave();
await thread.stop();
`;

describe('the packed package', function () {
  this.timeout(60_000);
  let dir: string;
  let files: string[];

  before(() => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), 'swim-pack-'));
    const cache = path.join(dir, 'cache');
    const args = ['pack', '--json', '--offline', '--cache', cache, '--pack-destination', dir];
    const packed = JSON.parse(execFileSync('npm', args, { cwd: PACKAGE, encoding: 'utf8' }));
    const [{ filename, files: list }] = Array.isArray(packed) ? packed : Object.values(packed);
    files = list.map((each: { path: string }) => each.path);
    const scope = path.join(dir, 'node_modules/@shoal');
    fs.mkdirSync(scope, { recursive: true });
    execFileSync('tar', ['-xzf', path.join(dir, filename), '-C', scope]);
    fs.renameSync(path.join(scope, 'package'), path.join(scope, 'swim'));
    const manifest = JSON.parse(fs.readFileSync(path.join(scope, 'swim/package.json'), 'utf8'));
    for (const name of [...Object.keys(manifest.dependencies), '@types/node', 'undici-types']) {
      const target = path.join(dir, 'node_modules', name);
      fs.mkdirSync(path.dirname(target), { recursive: true });
      fs.symlinkSync(path.join(MODULES, name), target);
    }
  });

  after(() => fs.rmSync(dir, { recursive: true }));

  it('has the built code, its types, README and licence, and no test', () => {
    for (const wanted of ['dist/index.js', 'dist/index.d.ts', 'README.md', 'LICENSE']) {
      assert.ok(files.includes(wanted), `${wanted} in ${files.length} files`);
    }
    const unwanted = files.filter((file) => /[.]test[.]|tsbuildinfo|^src/.test(file));
    assert.deepEqual(unwanted, []);
  });

  it('compiles in a strict program', () => {
    fs.writeFileSync(path.join(dir, 'package.json'), '{"type":"module"}');
    fs.writeFileSync(path.join(dir, 'program.ts'), PROGRAM);
    const flags = ['--strict', '--module', 'nodenext', '--target', 'es2024', '--noEmit'];
    execFileSync(TSC, [...flags, '--types', 'node', 'program.ts'], { cwd: dir, stdio: 'pipe' });
  });

  it('runs a member in a thread, which ends with it', () => {
    const program = path.join(dir, 'thread.mjs');
    fs.writeFileSync(program, IN_A_THREAD);
    const said = execFileSync(process.execPath, [program], { encoding: 'utf8' });
    assert.equal(said.trim(), 'a=alive');
  });

  it('runs the example: two processes find each other, and one that leaves has left', async () => {
    const example = path.join(dir, 'node_modules/@shoal/swim/examples/members.mjs');
    const run = (...args: string[]) =>
      new Example(
        spawn(process.execPath, [example, ...args], {
          stdio: ['ignore', 'pipe', 'inherit'],
        }),
      );
    const first = run('a');
    const address = await first.says(/^listening on (\S+)/);
    const second = run('b', '0', address);
    await Promise.all([first.says(/(a=alive b=alive)/), second.says(/(a=alive b=alive)/)]);
    second.child.kill('SIGINT');
    await first.says(/(b=left)/);
    await once(second.child, 'exit');
    first.child.kill('SIGKILL');
    await once(first.child, 'exit');
  });
});

class Example {
  readonly child: ChildProcessByStdio<null, Readable, null>;
  private readonly lines: string[] = [];
  private wake = Promise.withResolvers<void>();

  constructor(child: ChildProcessByStdio<null, Readable, null>) {
    this.child = child;
    createInterface(child.stdout).on('line', (line) => {
      this.lines.push(line);
      this.wake.resolve();
      this.wake = Promise.withResolvers();
    });
  }

  /** What the expression's group matched, as soon as some line does. */
  async says(expression: RegExp): Promise<string> {
    for (;;) {
      for (const line of this.lines) {
        const match = expression.exec(line);
        if (match?.[1] !== undefined) return match[1];
      }
      await this.wake.promise;
    }
  }
}
