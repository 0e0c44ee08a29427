/**
 * The dependency rules: floors of each package and of the rooms of a node and of its edge, no cycles, no I/O in cores.
 *
 * Imports point left in each chain below; siblings of one floor never import each other. Tests are
 * free. `config*.ts` is one floor in several files. scripts/test/planted-violations.ts breaks every rule on purpose, and fails when one of them
 * goes unnoticed: a checker that resolves nothing reports nothing.
 */

export const CHAINS = {
  swim: [
    ['errors.ts'],
    ['address.ts'],
    ['ports.ts', 'config.ts', 'transport.ts'],
    ['core/'],
    ['runner.ts'],
    ['discovery/', 'security/'],
    ['runtime/', 'sim/'],
    ['thread/'],
    ['index.ts'],
  ],
  broker: [
    ['errors.ts', 'bytes.ts', 'assert-never.ts'],
    ['address.ts', 'cluster-settings.ts', 'fields.ts'],
    ['ports.ts', 'config*.ts'],
    ['mqtt/', 'placement/', 'store/'],
    ['access/'],
    ['shard/'],
    ['session/'],
    ['node/'],
    ['process/'],
    ['edge/', 'sim/'],
    ['main.ts'],
    ['index.ts'],
  ],
  'broker/node': [
    ['batch.ts', 'work.ts'],
    ['link/'],
    ['route/'],
    ['client/', 'lead/', 'members/'],
    ['ask/'],
    ['shards.ts'],
    ['rooms.ts'],
    ['node.ts'],
  ],
  'broker/edge': [
    ['log.ts', 'turn-end.ts', 'young-buffers.ts'],
    ['access/', 'store/', 'listeners/'],
    ['system.ts'],
    ['membership/', 'link/'],
    ['admin/'],
  ],
};

/** Folder of a chain: the sources of a package, or a folder of them. */
export function rootOf(chain) {
  const [pkg, folder] = chain.split('/');
  return `packages/${pkg}/src/${folder ? `${folder}/` : ''}`;
}

/** Folders and files whose code is pure: no clock, no random source, no I/O. */
const CORES = [
  'packages/swim/src/(core/|runner[.]ts)',
  'packages/broker/src/(mqtt|placement|store|access|shard|session|node|process)/',
];

/** npm packages that a core may use: pure functions over bytes and plain data. */
const PURE_PACKAGES = ['mqtt-packet', 'lru-cache', 'zod'];

const TEST = '[.]test[.]ts$';

const quote = (text) => text.replaceAll('.', '[.]').replaceAll('*', '[a-z-]*');
const alternatives = (names) => `(${names.map(quote).join('|')})`;

function floors(key, chain) {
  const root = `^${rootOf(key)}`;
  const pkg = key.replace('/', '-');
  const rules = [];
  chain.forEach((floor, level) => {
    const above = chain.slice(level + 1).flat();
    for (const name of floor) {
      const siblings = floor.filter((other) => other !== name);
      const forbidden = [...siblings, ...above];
      if (forbidden.length === 0) continue;
      rules.push({
        name: `${pkg}-floor-${name.replace(/[*]?[.]ts|[/]/, '')}`,
        comment: `${name} may only import what stands to its left`,
        severity: 'error',
        from: { path: `${root}${quote(name)}`, pathNot: TEST },
        to: { path: `${root}${alternatives(forbidden)}` },
      });
    }
  });
  rules.push({
    name: `${pkg}-floor-unknown`,
    comment: 'every source file stands on a floor of the chain',
    severity: 'error',
    from: { path: root, pathNot: [`${root}${alternatives(chain.flat())}`, TEST] },
    to: {},
  });
  return rules;
}

export default {
  forbidden: [
    ...Object.entries(CHAINS).flatMap(([key, chain]) => floors(key, chain)),
    {
      name: 'swim-below-broker',
      severity: 'error',
      from: { path: '^packages/swim/' },
      to: { path: '^packages/(broker|cli)/' },
    },
    {
      name: 'broker-below-cli',
      severity: 'error',
      from: { path: '^packages/broker/' },
      to: { path: '^packages/cli/' },
    },
    {
      name: 'cli-not-to-swim',
      comment: 'the command line talks to the broker, and the broker to membership',
      severity: 'error',
      from: { path: '^packages/cli/src/', pathNot: TEST },
      to: { path: '^packages/swim/' },
    },
    {
      name: 'doors',
      comment:
        'packages meet at the doors that package.json exports: index.ts and sim/index.ts, errors.ts and config.ts of the broker',
      severity: 'error',
      from: { path: '^packages/([^/]+)/src/', pathNot: TEST },
      to: {
        path: '^packages/[^/]+/src/',
        pathNot: [
          '^packages/$1/src/',
          '^packages/[^/]+/src/(sim/)?index[.]ts$',
          '^packages/broker/src/(errors|config)[.]ts$',
        ],
      },
    },
    {
      name: 'no-node-in-core',
      comment: 'cores do no I/O: clock, random, network and disk are injected',
      severity: 'error',
      from: { path: CORES.map((path) => `^${path}`), pathNot: TEST },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'no-package-in-core',
      comment: `cores use no npm packages but ${PURE_PACKAGES.join(' and ')}`,
      severity: 'error',
      from: { path: CORES.map((path) => `^${path}`), pathNot: TEST },
      to: {
        path: '^node_modules/',
        pathNot: PURE_PACKAGES.map((name) => `^node_modules/${name}/`),
      },
    },
    {
      name: 'no-import-of-tests',
      severity: 'error',
      from: { pathNot: [TEST, '/test/'] },
      to: { path: [TEST, '^packages/[^/]+/test/'] },
    },
    {
      name: 'no-circular',
      comment: 'cycles of types count, too: what knows each other whole is one thing in two files',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-unresolvable',
      comment: 'an import that resolves to nothing is an import that no rule sees',
      severity: 'error',
      from: { path: '^packages/' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    exclude: '/dist/',
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['shoal-source', 'import', 'types', 'node'],
      extensions: ['.ts', '.js'],
    },
  },
};
