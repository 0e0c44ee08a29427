import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configSections } from '@shoal/broker';
import { configFlags, KEY_OF_FLAG } from '../../src/config-flags.ts';
import { shoal } from './shoal.ts';

describe('shoal config and start', function () {
  this.timeout(60_000);
  let dir: string;
  let file: string;

  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'shoal-cli-'));
    file = join(dir, 'shoal.yaml');
    writeFileSync(file, `node:\n  name: a\ndata:\n  dir: ${dir}/data\ncluster:\n  replicas: 5\n`);
  });
  after(() => rmSync(dir, { recursive: true }));

  it('has a flag for each key whose reference names one, and no other', () => {
    const named = configSections()
      .flatMap(({ keys }) => keys)
      .filter(({ flag }) => flag !== undefined)
      .map(({ key, flag }) => [flag?.replace(/^--/, ''), key]);
    assert.deepEqual(Object.entries(KEY_OF_FLAG).sort(), named.sort());
    assert.deepEqual(
      Object.keys(configFlags).sort(),
      [...Object.keys(KEY_OF_FLAG), 'config', 'set'].sort(),
    );
  });

  it('demo: reports a wrong flag as every command does', async () => {
    const { code, stderr } = await shoal(['demo', '--messages', '3', '--json']);
    assert.equal(code, 2);
    assert.equal((JSON.parse(stderr) as { code: string }).code, 'USAGE');
  });

  it('check: accepts a file, the environment and flags', async () => {
    const { code, stdout } = await shoal(
      [
        'config',
        'check',
        '--config',
        file,
        '--join',
        'n1:1',
        '--join',
        'n2:2',
        '--set',
        'log.level=warn',
      ],
      { SHOAL_NODE_ZONE: 'east' },
    );
    assert.deepEqual([code, stdout], [0, 'The configuration is valid.\n']);
  });

  it('show: values and origins', async () => {
    const { stdout } = await shoal(
      ['config', 'show', '--config', file, '--json', '--join', 'n1:1', '--join', 'n2:2'],
      { SHOAL_NODE_ZONE: 'east' },
    );
    const shown = JSON.parse(stdout);
    assert.deepEqual(shown['cluster.replicas'], { value: 5, origin: `file ${file}` });
    assert.deepEqual(shown['node.zone'], { value: 'east', origin: 'environment SHOAL_NODE_ZONE' });
    assert.deepEqual(shown['cluster.join'], { value: ['n1:1', 'n2:2'], origin: 'flag --join' });
    assert.deepEqual(shown['node.host'], { value: 'a', origin: 'default' });
    const table = await shoal(['config', 'show', '--config', file]);
    assert.match(table.stdout, /cluster\.replicas\s+5\s+file /);
  });

  it('reference: Markdown, and JSON Schema with --json', async () => {
    const { stdout } = await shoal(['config', 'reference']);
    assert.match(stdout, /`limits\.sessionQueueMessages`/);
    const schema = await shoal(['config', 'reference', '--json']);
    assert.equal(JSON.parse(schema.stdout).additionalProperties, false);
  });

  for (const [what, args, code, told] of [
    ['an unknown key', ['--set', 'cluster.replcas=3'], 10, /did you mean cluster\.replicas\?/],
    [
      'a wrong type',
      ['--replicas', 'three'],
      11,
      /cluster\.replicas = "three" \(flag --replicas\)/,
    ],
    ['a value out of range', ['--replicas', '9'], 12, /at most 7/],
    ['a contradiction', ['--cluster-listen', '0.0.0.0:7700'], 14, /cluster\.advertise/],
    ['two flags for one key', ['--zone', 'a', '--set', 'node.zone=b'], 14, /two flags/],
    ['a --set without =', ['--set', 'node.zone'], 12, /KEY=VALUE/],
    ['an absent file', ['--config', '/nowhere/shoal.yaml'], 15, /nowhere.*ENOENT/],
    ['MQTT off loopback', ['--mqtt-listen', '0.0.0.0:1883'], 22, /--auth-required/],
    ['the cluster off loopback', ['--cluster-listen', '10.0.0.1:7700'], 23, /keyring generate/],
    ['an absent keyring', ['--keyring', '/nowhere/ring.json'], 24, /nowhere.*ENOENT/],
    ['an unknown flag', ['--replcas', '3'], 2, /Nonexistent flag: --replcas/],
  ] as const) {
    it(`start and check refuse ${what} (exit code ${code})`, async () => {
      const needed = ['--node-name', 'a', '--data-dir', `${dir}/data`];
      const started = await shoal(['start', ...needed, ...args]);
      assert.equal(started.code, code, started.stderr);
      assert.match(started.stderr, told);
      assert.equal(started.stdout, '');
      const checked = await shoal(['config', 'check', ...needed, ...args]);
      assert.deepEqual(
        [checked.code, checked.stderr.replace('config check', 'start')],
        [code, started.stderr],
      );
    });
  }

  it('an unknown command is a usage error', async () => {
    const { code, stderr } = await shoal(['strat']);
    assert.equal(code, 2);
    assert.equal(stderr, 'shoal: There is no command `strat`\n  See `shoal --help`.\n');
    const json = await shoal(['cluster', 'staus', '--json']);
    assert.equal(json.code, 2);
    assert.deepEqual(JSON.parse(json.stderr), {
      code: 'USAGE',
      message: 'There is no command `cluster staus`',
      remedy: 'See `shoal cluster --help`.',
    });
  });

  it('every command has help with a summary', async () => {
    const commands = [
      ...['start', 'cluster status', 'node add', 'node remove', 'config check', 'config show'],
      ...['config reference', 'session list', 'session show', 'session explain', 'session kick'],
      ...['session delete', 'keyring generate', 'keyring install', 'keyring use'],
      ...['keyring remove', 'keyring list'],
    ];
    const outcomes = await Promise.all(
      commands.map((command) => shoal([...command.split(' '), '--help'])),
    );
    for (const [i, { code, stdout }] of outcomes.entries()) {
      assert.equal(code, 0, commands[i]);
      assert.match(stdout, new RegExp(`USAGE\\n\\s+\\$ shoal ${commands[i]}`));
      if (commands[i] !== 'config reference') assert.match(stdout, /EXAMPLES/, commands[i]);
    }
  });
});
