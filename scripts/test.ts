/**
 * `npm test`: every check and every test, stage by stage, in one run.
 *
 *     npm test                          everything
 *     npm test -- unit lint             these stages only
 *     npm test -- --sim-seed 7 simulation
 *
 * The simulation's seeds are new for every tree that is committed, and the same wherever it is tested.
 * A failing stage does not stop the next, so that one run shows all that is wrong. The last line is
 * `N passed, N failed`; the exit code is 1 when anything failed. With SHOAL_REQUIRE_TOOLS=1 (CI) a
 * test skipped for want of a program (mosquitto_pub, paho-mqtt, spin) counts as failed.
 */
import { execFileSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { killRunning, runStage } from './test/run-stage.ts';
import { assignTests, runOrder, stages } from './test/stages.ts';

const SIM_SEEDS = 400;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'sim-seed': { type: 'string' },
    'sim-seeds': { type: 'string', default: String(SIM_SEEDS) },
  },
});

const simSeed = Number(values['sim-seed'] ?? seedOfTree());
const all = stages({ simSeed, simSeeds: Number(values['sim-seeds']) });
const unknown = positionals.filter((name) => !all.some((stage) => stage.name === name));
if (unknown.length > 0) {
  const names = runOrder(all).map((stage) => stage.name);
  console.error(`unknown stage: ${unknown.join(', ')}; stages are ${names.join(', ')}`);
  process.exit(2);
}

// The Node.js that runs this is the one brought along; what it starts must find the same one.
const bins = [join(process.cwd(), 'node_modules/.bin'), dirname(process.execPath)];
process.env['PATH'] = [...bins, process.env['PATH']].join(':');
// Half of what a command or a node takes to start is TypeScript that is stripped and compiled anew.
process.env['NODE_COMPILE_CACHE'] ??= join(process.cwd(), 'node_modules/.cache/compile');
const requireTools = process.env['SHOAL_REQUIRE_TOOLS'] === '1';
const files = globSync(
  ['packages/*/{src,test}/**/*.test.ts', '{bench,models,scripts,docker}/**/*.test.ts'],
  { exclude: (path) => path.includes('node_modules') },
).sort();
const byStage = assignTests(all, files);

process.once('SIGINT', () => {
  killRunning();
  process.exit(130);
});
process.once('SIGTERM', () => {
  killRunning();
  process.exit(143);
});

let passed = 0;
let failed = 0;
const skipped: string[] = [];
const failures: string[] = [];
const startMs = performance.now();
for (const stage of runOrder(all)) {
  if (positionals.length > 0 && !positionals.includes(stage.name)) continue;
  console.log(`▸ ${stage.name}`);
  const stageStartMs = performance.now();
  const result = await runStage(stage, byStage.get(stage) ?? [], requireTools);
  const seconds = ((performance.now() - stageStartMs) / 1000).toFixed(1);
  console.log(`  ${stage.name}: ${result.passed} passed, ${result.failed} failed, ${seconds} s`);
  passed += result.passed;
  failed += result.failed;
  skipped.push(...result.skipped);
  failures.push(...result.failures.map((failure) => `${stage.name}: ${failure}`));
  if (result.passed + result.failed === 0) {
    failed++;
    failures.push(`${stage.name}: the stage ran nothing`);
  }
}

console.log();
for (const title of skipped) console.log(`skipped: ${title}`);
for (const failure of failures) console.log(`failed: ${failure}`);
console.log(
  `ran ${((performance.now() - startMs) / 1000).toFixed(0)} s on Node ${process.version}`,
);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

/** First seed of the simulation stage: from the committed tree, or from the clock where git knows none. */
function seedOfTree(): number {
  try {
    const hash = execFileSync('git', ['rev-parse', 'HEAD^{tree}'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return Number.parseInt(hash.slice(0, 8), 16);
  } catch {
    return Date.now() % 1_000_000_000;
  }
}
