/** What `npm pack` makes works where nothing else of this repository is. */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath, pathToFileURL } from 'node:url';

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
    const wrong = /[.]test[.]|tsbuildinfo|^src|[.]map$|experiments|test-cluster|core-bench/;
    assert.deepEqual(
      files.filter((file) => wrong.test(file)),
      [],
    );
  });

  it('says that it runs on Node.js 20 and later, which npm goes by', () => {
    const manifest = path.join(dir, 'node_modules/@shoal/swim/package.json');
    assert.equal(JSON.parse(fs.readFileSync(manifest, 'utf8')).engines.node, '>=20');
  });

  it('compiles in a strict program', () => {
    fs.writeFileSync(path.join(dir, 'package.json'), '{"type":"module"}');
    fs.writeFileSync(path.join(dir, 'program.ts'), PROGRAM);
    const flags = ['--strict', '--module', 'nodenext', '--target', 'es2024', '--noEmit'];
    execFileSync(TSC, [...flags, '--types', 'node', 'program.ts'], { cwd: dir, stdio: 'pipe' });
  });

  for (const node of nodes()) {
    it(`runs a member in a thread, which ends with it, by ${node}`, () => {
      const program = path.join(dir, 'thread.mjs');
      fs.writeFileSync(program, IN_A_THREAD);
      const said = execFileSync(node, [program], { encoding: 'utf8' });
      assert.equal(said.trim(), 'a=alive');
    });

    it(`starts its thread without the caller's options of Node.js, by ${node}`, () => {
      // A module that cannot be loaded twice, and a program that is no file.
      const once = path.join(dir, 'once.mjs');
      fs.writeFileSync(
        once,
        `import { isMainThread } from 'node:worker_threads';
        if (!isMainThread) throw new Error('loaded in the thread');`,
      );
      const args = [`--import=${pathToFileURL(once)}`, '--input-type=module', '-e', IN_A_THREAD];
      const said = execFileSync(node, args, { encoding: 'utf8', cwd: dir });
      assert.equal(said.trim(), 'a=alive');
    });

    it(`runs the example: three processes, one leaves, one is killed, by ${node}`, async () => {
      const example = path.join(dir, 'node_modules/@shoal/swim/examples/members.mjs');
      const run = (...args: string[]) =>
        new Example(spawn(node, [example, ...args], { stdio: ['ignore', 'pipe', 'inherit'] }));
      const first = run('a');
      const address = await first.says(/^listening on (\S+)/);
      const [second, third] = [run('b', '0', address), run('c', '0', address)];
      const all = /(a=alive b=alive c=alive)/;
      await Promise.all([first, second, third].map((each) => each.says(all)));
      third.child.kill('SIGKILL');
      await Promise.all([first, second].map((each) => each.says(/(b=alive c=faulty)/)));
      second.child.kill('SIGINT');
      await first.says(/(b=left)/);
      await once(second.child, 'exit');
      first.child.kill('SIGKILL');
      await once(first.child, 'exit');
    });
  }
});

/** Programs of Node.js to run it by: this one, and that of the system if it is another one from 20 on. */
function nodes(): string[] {
  const others = (process.env.SHOAL_NODES ?? '/usr/bin/node').split(path.delimiter);
  const found = others.filter((node) => {
    if (!fs.existsSync(node)) return false;
    const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
    return version !== process.version && Number(/^v(\d+)/.exec(version)?.[1]) >= 20;
  });
  return [process.execPath, ...found];
}

class Example {
  readonly child: ChildProcessByStdio<null, Readable, null>;
  readonly #lines: string[] = [];
  #wake = Promise.withResolvers<void>();

  constructor(child: ChildProcessByStdio<null, Readable, null>) {
    this.child = child;
    createInterface(child.stdout).on('line', (line) => {
      this.#lines.push(line);
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    });
  }

  /** What the expression's group matched, as soon as some line does. */
  async says(expression: RegExp): Promise<string> {
    for (;;) {
      for (const line of this.#lines) {
        const match = expression.exec(line);
        if (match?.[1] !== undefined) return match[1];
      }
      await this.#wake.promise;
    }
  }
}
