import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AdminApi, BrokerMetrics, createCounters, startAdminApi } from '@shoal/broker';
import { FakeBackend } from '../../../broker/test/admin/fake-backend.ts';
import { shoal } from './shoal.ts';

describe('shoal keyring', function () {
  this.timeout(60_000);
  let backend: FakeBackend;
  let api: AdminApi;
  let dir: string;

  beforeEach(async () => {
    backend = new FakeBackend();
    const metrics = new BrokerMetrics(createCounters, 'n1');
    api = await startAdminApi({ listen: '127.0.0.1:0', backend, metrics });
    dir = await mkdtemp(join(tmpdir(), 'shoal-cli-'));
  });
  afterEach(async () => {
    await api.close();
    await rm(dir, { recursive: true, force: true });
  });

  const run = (args: readonly string[], stdin?: string) =>
    shoal(['keyring', ...args], { SHOAL_ADMIN: api.address }, stdin);

  it('generate: a key that install takes', async () => {
    const { code, stdout } = await run(['generate']);
    assert.equal(code, 0);
    assert.match(stdout, /^[A-Za-z0-9+/]{43}=\n$/);
    const installed = await run(['install'], stdout);
    assert.equal(installed.code, 0, installed.stderr);
    assert.match(installed.stdout, /1169a4d2 +3 of 3 +3 of 3/);
    assert.deepEqual(backend.calls, ['installKey']);
  });

  it('generate --out: a ring for its owner alone, never over another', async () => {
    const file = join(dir, 'ring.json');
    const { code, stdout } = await run(['generate', '--out', file, '--json']);
    assert.equal(code, 0);
    const made = JSON.parse(stdout);
    assert.deepEqual(Object.keys(made).sort(), ['file', 'id']);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    const ring = JSON.parse(await readFile(file, 'utf8'));
    assert.equal(ring.primary, made.id);
    assert.equal((await run(['generate', '--out', file])).code, 24);
    assert.equal(await readFile(file, 'utf8'), `${JSON.stringify(ring, null, 2)}\n`);
    assert.equal((await run(['install', '--file', file])).code, 0);
    assert.equal((await run(['install', '--file', join(dir, 'absent')])).code, 24);
  });

  it('install: takes no key as an argument, and repeats none', async () => {
    const key = Buffer.alloc(32, 7).toString('base64');
    assert.equal((await run(['install', key])).code, 2);
    const bad = await run(['install'], `${key.slice(2)}\n`);
    assert.equal(bad.code, 53);
    assert.ok(!`${bad.stdout}${bad.stderr}`.includes(key.slice(2, 30)));
    assert.deepEqual(backend.calls, []);
  });

  it('list: a table for people, members and sums for programs', async () => {
    assert.match(
      (await run(['list'])).stdout,
      /KEY +PRIMARY ON +HELD BY\n1169a4d2 +3 of 3 +3 of 3/,
    );
    const listed = JSON.parse((await run(['list', '--json'])).stdout);
    assert.deepEqual(listed.keys, [{ id: '1169a4d2', primaryOn: 3, heldBy: 3 }]);
    assert.equal(listed.members.length, 3);
    backend.encrypted = false;
    const absent = await run(['list']);
    assert.equal(absent.code, 52);
    assert.match(absent.stderr, /without a keyring/);
  });

  it('use and remove: refused with the reason, unless forced', async () => {
    const refused = await run(['use', '00000001']);
    assert.equal(refused.code, 54);
    assert.match(refused.stderr, /On n2\..*\n.*keyring install/);
    assert.equal((await run(['use', '00000001', '--force'])).code, 0);
    assert.equal((await run(['remove', '1169a4d2'])).code, 55);
    const absent = await run(['remove', '00000001']);
    assert.deepEqual([absent.code, absent.stderr], [0, 'No member held 00000001.\n']);
    for (const command of ['use', 'remove']) {
      const { code, stderr } = await run([command, 'first']);
      assert.equal(code, 72);
      assert.match(stderr, /ID must be eight hexadecimal digits/);
    }
    assert.equal((await run(['use', '1169A4D2'])).code, 0);
    assert.deepEqual(backend.calls, [
      'useKey 00000001 true',
      'removeKey 00000001 false',
      'useKey 1169a4d2 false',
    ]);
  });

  it('says which member could not do it, by an exit code of its own', async () => {
    backend.deaf = 'n2';
    const { code, stdout, stderr } = await run(['use', '1169a4d2']);
    assert.equal(code, 56);
    assert.match(stdout, /1169a4d2 +2 of 3 +2 of 3\nn2: m\. r\. \[SWIM_ERR_UNREACHABLE\]/);
    assert.match(stderr, /n2 \(SWIM_ERR_UNREACHABLE\)/);
    const json = await run(['use', '1169a4d2', '--json']);
    assert.equal(json.code, 56);
    assert.equal(JSON.parse(json.stdout).members[1].error.code, 'SWIM_ERR_UNREACHABLE');
  });
});
