/**
 * Proves that the dependency rules see what they forbid.
 *
 * dependency-cruiser that cannot parse TypeScript, or resolves none of the imports, finds no
 * violation and says so in green. So this builds a small tree that breaks every rule of
 * .dependency-cruiser.mjs, each in each way, and fails unless every break is reported; and a second
 * tree that breaks none, which must pass.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';

interface Rule {
  readonly name: string;
}
interface RulesModule {
  readonly default: { readonly forbidden: readonly Rule[] };
  readonly rootOf: (chain: string) => string;
  /** Per package, or folder of one: floors from lowest to highest, each a list of siblings. */
  readonly CHAINS: Readonly<Record<string, readonly (readonly string[])[]>>;
}
interface Plant {
  readonly rule: string;
  /** The file that breaks the rule. */
  readonly from: string;
  /** What it imports: a path from the root of the tree, or a bare module name. */
  readonly to: string;
  /** Types alone are imported. */
  readonly types?: boolean;
}
interface Violation {
  readonly rule: { readonly name: string };
  readonly from: string;
  readonly to: string;
}

const root = process.cwd();
const configPath = join(root, '.dependency-cruiser.mjs');
const rules = (await import(configPath)) as RulesModule;

/** `mqtt/` → its planted file; `config.ts` → itself. */
function fileOf(chain: string, name: string, leaf: string): string {
  const file = name.endsWith('/') ? `${name}${leaf}.ts` : name.replace('*', '');
  return `${rules.rootOf(chain)}${file}`;
}

/** Every import that a chain forbids, between representatives of its floors. */
function floorPlants(key: string, chain: readonly (readonly string[])[]): Plant[] {
  const pkg = key.replace('/', '-');
  return chain.flatMap((floor, level) =>
    floor.flatMap((name) => {
      const siblings = floor.filter((other) => other !== name);
      const above = chain.slice(level + 1).flat();
      return [...siblings, ...above].map((target) => ({
        rule: `${pkg}-floor-${name.replace(/[*]?[.]ts|[/]/, '')}`,
        from: fileOf(key, name, 'planted'),
        to: fileOf(key, target, 'target'),
      }));
    }),
  );
}

const CORE_FOLDERS = [
  'swim/src/core',
  ...['mqtt', 'placement', 'store', 'shard', 'session', 'node', 'process'].map(
    (name) => `broker/src/${name}`,
  ),
];

const plants: Plant[] = [
  ...Object.entries(rules.CHAINS).flatMap(([key, chain]) => floorPlants(key, chain)),
  {
    rule: 'swim-floor-unknown',
    from: 'packages/swim/src/attic/a.ts',
    to: 'packages/swim/src/errors.ts',
  },
  {
    rule: 'broker-floor-unknown',
    from: 'packages/broker/src/attic/a.ts',
    to: 'packages/broker/src/errors.ts',
  },
  {
    rule: 'broker-node-floor-unknown',
    from: 'packages/broker/src/node/attic/a.ts',
    to: 'packages/broker/src/errors.ts',
  },
  {
    rule: 'broker-edge-floor-unknown',
    from: 'packages/broker/src/edge/attic/a.ts',
    to: 'packages/broker/src/errors.ts',
  },
  { rule: 'swim-below-broker', from: 'packages/swim/src/core/up.ts', to: '@shoal/broker' },
  { rule: 'broker-below-cli', from: 'packages/broker/src/edge/admin/up.ts', to: '@shoal/cli' },
  { rule: 'cli-not-to-swim', from: 'packages/cli/src/down.ts', to: '@shoal/swim' },
  {
    rule: 'doors',
    from: 'packages/broker/src/edge/link/window.ts',
    to: 'packages/swim/src/runner.ts',
  },
  {
    rule: 'doors',
    from: 'packages/cli/src/down.ts',
    to: 'packages/broker/src/counters.ts',
  },
  {
    rule: 'no-import-of-tests',
    from: 'packages/broker/src/edge/store/a.ts',
    to: 'packages/broker/src/edge/store/b.test.ts',
  },
  { rule: 'no-circular', from: 'packages/cli/src/a.ts', to: 'packages/cli/src/b.ts' },
  {
    rule: 'no-circular',
    from: 'packages/broker/src/node/link/a.ts',
    to: 'packages/broker/src/node/link/b.ts',
    types: true,
  },
  {
    rule: 'no-circular',
    from: 'packages/broker/src/edge/listeners/c.ts',
    to: 'packages/broker/src/edge/listeners/d.ts',
    types: true,
  },
  {
    rule: 'no-circular',
    from: 'packages/broker/src/shard/a.ts',
    to: 'packages/broker/src/shard/b.ts',
  },
  {
    rule: 'no-circular',
    from: 'packages/broker/src/shard/c.ts',
    to: 'packages/broker/src/shard/d.ts',
    types: true,
  },
  { rule: 'no-unresolvable', from: 'packages/cli/src/c.ts', to: 'packages/cli/src/missing.ts' },
  ...CORE_FOLDERS.flatMap((folder) => [
    { rule: 'no-node-in-core', from: `packages/${folder}/io.ts`, to: 'node:fs' },
    { rule: 'no-node-in-core', from: `packages/${folder}/timers.ts`, to: 'timers' },
    { rule: 'no-package-in-core', from: `packages/${folder}/package.ts`, to: 'left-pad' },
  ]),
  { rule: 'no-node-in-core', from: 'packages/swim/src/runner.ts', to: 'node:net' },
  { rule: 'no-package-in-core', from: 'packages/swim/src/runner.ts', to: 'left-pad' },
];

/** Closes the circles, each of which is reported once. */
const waysBack = plants
  .filter(({ rule }) => rule.startsWith('no-circular'))
  .map(({ from, to, types = false }) => ({ from: to, to: from, types }));

/** What the rules allow, and must go on allowing. */
const allowed: Omit<Plant, 'rule'>[] = [
  { from: 'packages/broker/src/mqtt/codec.ts', to: 'mqtt-packet' },
  { from: 'packages/broker/src/mqtt/codec.test.ts', to: 'node:assert/strict' },
  { from: 'packages/broker/src/session/session.ts', to: 'packages/broker/src/shard/log.ts' },
  { from: 'packages/broker/src/edge/store/files.ts', to: 'node:fs' },
  { from: 'packages/broker/src/sim/cluster.ts', to: '@shoal/swim/sim' },
  { from: 'packages/cli/src/start.ts', to: '@shoal/broker' },
  {
    from: 'packages/broker/src/node/lead/leader.ts',
    to: 'packages/broker/src/node/route/client-port.ts',
  },
  { from: 'packages/broker/src/shard/c.ts', to: 'packages/broker/src/shard/d.ts', types: true },
];

function moduleName(from: string, to: string): string {
  if (!to.startsWith('packages/')) return to;
  const path = relative(dirname(from), to);
  return path.startsWith('.') ? path : `./${path}`;
}

/** Builds the tree with these imports in it, and answers what depcruise reports. */
function cruise(imports: readonly Omit<Plant, 'rule'>[]): Violation[] {
  const tree = mkdtempSync(join(tmpdir(), 'shoal-planted-'));
  const put = (path: string, text: string) => {
    mkdirSync(join(tree, dirname(path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  };
  try {
    for (const name of ['left-pad', 'mqtt-packet']) {
      put(`node_modules/${name}/package.json`, JSON.stringify({ name, main: 'index.js' }));
      put(`node_modules/${name}/index.js`, 'module.exports = 1;\n');
    }
    mkdirSync(join(tree, 'node_modules/@shoal'));
    for (const pkg of ['swim', 'broker', 'cli']) {
      const exports = {
        '.': { 'shoal-source': './src/index.ts' },
        './sim': { 'shoal-source': './src/sim/index.ts' },
      };
      put(`packages/${pkg}/package.json`, JSON.stringify({ name: `@shoal/${pkg}`, exports }));
      put(`packages/${pkg}/src/sim/index.ts`, 'export const sim = 1;\n');
      symlinkSync(join('../../packages', pkg), join(tree, 'node_modules/@shoal', pkg));
    }
    const files = new Map<string, string[]>([
      ['packages/swim/src/index.ts', []],
      ['packages/broker/src/index.ts', []],
      ['packages/cli/src/index.ts', []],
    ]);
    for (const { from, to, types } of imports) {
      const lines = files.get(from) ?? [];
      const name = `m${lines.length}`;
      const line = `import ${types ? 'type ' : ''}* as ${name} from '${moduleName(from, to)}';`;
      files.set(from, [...lines, types ? line : `${line}\nvoid ${name};`]);
      if (to.startsWith('packages/') && !to.includes('missing')) files.set(to, files.get(to) ?? []);
    }
    for (const [path, lines] of files)
      put(path, [...lines, 'export const here = 1;', ''].join('\n'));
    const bin = resolve(root, 'node_modules/.bin/depcruise');
    const args = ['--config', configPath, '--output-type', 'json', 'packages'];
    const result = spawnSync(bin, args, { cwd: tree, encoding: 'utf8', maxBuffer: 64 << 20 });
    if (result.stdout === '') throw new Error(`depcruise printed nothing: ${result.stderr}`);
    const report = JSON.parse(result.stdout) as { summary: { violations: Violation[] } };
    return report.summary.violations;
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

const problems: string[] = [];

const planted = new Set(plants.map((plant) => plant.rule));
for (const { name } of rules.default.forbidden) {
  if (!planted.has(name)) problems.push(`rule ${name} has no planted violation`);
}

const found = cruise([...plants, ...waysBack]);
for (const { rule, from, to } of plants) {
  const hit = found.some(
    (violation) =>
      violation.rule.name === rule &&
      violation.from === from &&
      (!to.startsWith('packages/') || to.includes('missing') || violation.to === to),
  );
  if (!hit) problems.push(`not reported: ${rule}: ${from} imports ${to}`);
}

for (const violation of cruise(allowed)) {
  problems.push(`reported without reason: ${violation.rule.name}: ${violation.from}`);
}

for (const problem of problems) console.error(problem);
const text = `${plants.length} planted violations of ${rules.default.forbidden.length} rules`;
console.log(problems.length === 0 ? `${text}: all found` : `${text}: ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
