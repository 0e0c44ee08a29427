/** What `npm pack` makes of the three packages works where nothing else of this repository is. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const PACKAGES = fileURLToPath(new URL('../../..', import.meta.url));
const MODULES = path.join(PACKAGES, '../node_modules');
const NAMES = ['swim', 'broker', 'cli'] as const;

describe('the packed packages', function () {
  this.timeout(120_000);
  let dir: string;
  let shoal: string;

  before(() => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), 'shoal-pack-'));
    const modules = path.join(dir, 'node_modules');
    for (const name of NAMES) {
      const to = path.join(modules, '@shoal', name);
      unpack(path.join(PACKAGES, name), to);
      for (const dependency of Object.keys(manifestOf(to).dependencies)) {
        const target = path.join(modules, dependency);
        if (dependency.startsWith('@shoal/') || fs.existsSync(target)) continue;
        fs.mkdirSync(path.dirname(target), { recursive: true });
        fs.symlinkSync(path.join(MODULES, dependency), target);
      }
    }
    // As npm installs the command of a package.
    shoal = path.join(modules, '.bin/shoal');
    fs.mkdirSync(path.dirname(shoal));
    fs.symlinkSync('../@shoal/cli/bin/shoal', shoal);
  });

  after(() => fs.rmSync(dir, { recursive: true }));

  function unpack(from: string, to: string): void {
    const cache = path.join(dir, 'cache');
    const args = ['pack', '--json', '--offline', '--cache', cache, '--pack-destination', dir];
    const packed = JSON.parse(execFileSync('npm', args, { cwd: from, encoding: 'utf8' }));
    const [{ filename }] = Array.isArray(packed) ? packed : Object.values(packed);
    fs.mkdirSync(to, { recursive: true });
    execFileSync('tar', ['-xzf', path.join(dir, filename), '-C', to, '--strip-components=1']);
  }

  /** The Node.js that runs this test first in PATH, since none is installed beside the command. */
  const env = () => ({
    ...process.env,
    NODE_OPTIONS: '',
    PATH: `${path.dirname(process.execPath)}:${process.env['PATH']}`,
  });

  it('say which Node.js they need', () => {
    const { engines } = manifestOf(path.join(PACKAGES, '..'));
    for (const name of NAMES) {
      const wanted = name === 'swim' ? { node: '>=20' } : engines;
      assert.deepEqual(manifestOf(path.join(dir, 'node_modules/@shoal', name)).engines, wanted);
    }
  });

  it('start a node that serves, and stops in order', async () => {
    const listen = ['--mqtt-listen', '--cluster-listen', '--admin-listen'];
    const args = ['start', '--node-name', 'n1', '--data-dir', path.join(dir, 'data')];
    for (const flag of listen) args.push(flag, '127.0.0.1:0');
    const node = spawn(shoal, args, { cwd: dir, env: env(), stdio: ['ignore', 'pipe', 'ignore'] });
    const ready = JSON.parse((await firstLine(node)).replace(/^ready /, ''));
    const status = execFileSync(shoal, ['cluster', 'status', '--json', '--admin', ready.admin], {
      cwd: dir,
      env: env(),
      encoding: 'utf8',
    });
    assert.equal(JSON.parse(status).members[0].name, 'n1');
    node.kill('SIGTERM');
    assert.deepEqual(await once(node, 'exit'), [0, null]);
  });

  it('say in a sentence that Node.js is too old, and load nothing', () => {
    const old = path.join(dir, 'old.cjs');
    const versions = "{ ...process.versions, node: '20.19.4' }";
    fs.writeFileSync(old, `Object.defineProperty(process, 'versions', { value: ${versions} });`);
    const entry = path.join(dir, 'node_modules/@shoal/cli/bin/shoal.js');
    const { status, stderr } = spawnSync(process.execPath, ['--require', old, entry, '--help'], {
      encoding: 'utf8',
    });
    assert.equal(status, 1);
    assert.match(stderr, /^shoal: Node\.js 24\.15 or later is needed, and this is 20\.19\.4\n/);
    assert.equal(stderr.trimEnd().split('\n').length, 2);
  });
});

function manifestOf(folder: string): {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly engines?: Readonly<Record<string, string>>;
} {
  return JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
}

async function firstLine(child: ChildProcess): Promise<string> {
  for await (const line of createInterface(child.stdout!)) return line;
  throw new Error('ended without a line');
}
