import assert from 'node:assert/strict';
import { type AdminApi, BrokerMetrics, createCounters, startAdminApi } from '@shoal/broker';
import { FakeBackend } from '../../../broker/test/admin/fake-backend.ts';
import { shoal } from './shoal.ts';

describe('shoal user, role, ban and acl', function () {
  this.timeout(60_000);
  let api: AdminApi;

  beforeEach(async () => {
    const metrics = new BrokerMetrics(createCounters, 'n1');
    api = await startAdminApi({ listen: '127.0.0.1:0', backend: new FakeBackend(), metrics });
  });
  afterEach(() => api.close());

  const run = (args: readonly string[], stdin?: string) =>
    shoal(args, { SHOAL_ADMIN: api.address }, stdin);

  it('add users with a password that is made or read, and show none', async () => {
    const made = await run(['user', 'add', 'ann', '--json']);
    assert.equal(made.code, 0, made.stderr);
    const { madePassword, roles, password } = JSON.parse(made.stdout);
    assert.match(madePassword, /^[\w-]{20}$/);
    assert.deepEqual([roles, password], [['all'], true]);
    const rule = ['--rule', 'allow publish dev/%u/#'];
    const read = await run(['user', 'add', 'bob', '--password-stdin', ...rule], 'geheim\n');
    assert.equal(read.stdout, 'User bob may connect.\n');
    assert.equal((await run(['user', 'add', 'bob'])).code, 65);
    assert.equal((await run(['user', 'passwd', 'eve'])).code, 64);
    const listed = await run(['user', 'list']);
    assert.match(listed.stdout, /bob +yes +allow publish dev\/%u\/#/);
    assert.doesNotMatch(listed.stdout, /argon2|geheim/);
    const answer = await run(['acl', 'test', 'publish', 'dev/eve/t', '--user', 'bob']);
    assert.equal(answer.stdout, 'No: no rule applies.\n');
  });

  it('name what is wrong with a rule, a role and a time', async () => {
    for (const [args, told] of [
      [['user', 'add', 'ann', '--rule', 'permit all #'], /--rule "permit all #" must be/],
      [['user', 'add', 'ann', '--rule', 'allow all a/#/b'], /topic: must be a Topic Filter/],
      [['user', 'add', 'ann', '--role', 'absent'], /role absent/],
      [['ban', 'add', '--user', 'ann', '--for', 'long'], /--for long must be a number/],
    ] as const) {
      const { code, stderr } = await run(args);
      assert.notEqual(code, 0);
      assert.match(stderr, told);
    }
    assert.notEqual((await run(['ban', 'add'])).code, 0);
  });

  it('list roles and bans, and take them back', async () => {
    await run(['role', 'set', 'r', '--rule', 'deny all x', '--rule', 'allow all #']);
    assert.match((await run(['role', 'list'])).stdout, /r +deny all x\n +allow all #/);
    assert.equal((await run(['role', 'rm', 'r'])).code, 0);
    await run(['ban', 'add', '--address', '192.0.2.1', '--for', '1h', '--reason', 'floods']);
    assert.match((await run(['ban', 'list'])).stdout, /address +192\.0\.2\.1 +\S+Z +floods/);
    assert.equal((await run(['ban', 'rm', '--address', '192.0.2.1'])).code, 0);
    assert.equal((await run(['ban', 'rm', '--address', '192.0.2.1'])).code, 64);
  });
});
