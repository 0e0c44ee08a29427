import assert from 'node:assert/strict';
import { covers, Permissions } from './permissions.ts';
import type { Rule } from './records.ts';

const allow = (action: Rule['action'], topic: string, more: Partial<Rule> = {}): Rule => ({
  allow: true,
  action,
  topic,
  ...more,
});
const deny = (action: Rule['action'], topic: string): Rule => ({ allow: false, action, topic });
const of = (rules: Rule[], clientId = 'c1', user = 'u1') =>
  new Permissions(rules, { clientId, user });

describe('Permissions', () => {
  it('allows nothing without rules (mosquitto CVE-2018-12550)', () => {
    const none = of([]);
    assert.equal(none.mayPublish('a', 0, false), false);
    assert.equal(none.mayReceive('a'), false);
    assert.equal(none.maySubscribe('a', 0), false);
  });

  it('lets the first rule that applies decide, and keeps publish and subscribe apart', () => {
    const p = of([deny('all', 'secret/#'), allow('publish', '#'), allow('subscribe', 'a/+')]);
    assert.equal(p.mayPublish('secret/x', 0, false), false);
    assert.equal(p.mayPublish('a/b', 0, false), true);
    assert.equal(p.mayReceive('a/b'), true);
    assert.equal(p.mayReceive('b'), false);
  });

  it('grants a filter that one rule covers, and leaves out what an earlier rule denies', () => {
    const p = of([deny('subscribe', 'a/secret'), allow('subscribe', 'a/#')]);
    assert.equal(p.maySubscribe('a/+', 0), true);
    assert.equal(p.maySubscribe('a/secret', 0), false);
    assert.equal(p.maySubscribe('#', 0), false);
    assert.equal(p.mayReceive('a/b'), true);
    assert.equal(p.mayReceive('a/secret'), false);
  });

  it('puts names in their places, of whole levels and within one', () => {
    const p = of([allow('publish', 'dev/%c/#'), allow('publish', 'x/of-%u')], 'c1', 'u1');
    assert.equal(p.mayPublish('dev/c1/t', 0, false), true);
    assert.equal(p.mayPublish('dev/c2/t', 0, false), false);
    assert.equal(p.mayPublish('x/of-u1', 0, false), true);
  });

  for (const name of ['#', '+', '+/x', 'a/b', ''])
    it(`does not let a client named ${JSON.stringify(name)} widen a rule (CVE-2017-7650, CVE-2026-44838)`, () => {
      const p = of([allow('all', 'dev/%c/#'), allow('all', '%c')], name);
      for (const topic of ['dev/other/t', 'dev/a/b/t', 'other', 'a/b'])
        assert.equal(p.mayPublish(topic, 0, false) || p.mayReceive(topic), false, topic);
      assert.equal(p.maySubscribe('#', 0) || p.maySubscribe('dev/+/t', 0), false);
      const denied = of([deny('all', 'dev/%c/#'), allow('all', '#')], name);
      assert.equal(denied.mayPublish('dev/other/t', 0, false), false);
    });

  it('takes names such as .* and $SYS by their letters', () => {
    assert.equal(of([allow('all', 'dev/%c')], '.*').mayReceive('dev/other'), false);
    assert.equal(of([allow('subscribe', '%c/#')], '$SYS').maySubscribe('$SYS/#', 0), false);
  });

  it('looks at QoS and RETAIN where a rule says so', () => {
    const p = of([
      allow('publish', 'a', { maximumQos: 1 }),
      allow('publish', 'b', { retain: false }),
    ]);
    assert.deepEqual(
      [0, 1, 2].map((qos) => p.mayPublish('a', qos, false)),
      [true, true, false],
    );
    assert.deepEqual(
      [false, true].map((retain) => p.mayPublish('b', 0, retain)),
      [true, false],
    );
  });

  it('keeps what is the server’s own from a rule of wildcards', () => {
    const p = of([allow('all', '#')]);
    assert.equal(p.maySubscribe('$SYS/#', 0), false);
    assert.equal(p.mayReceive('$SYS/a'), false);
  });
});

describe('covers', () => {
  const cases: [string, string, boolean][] = [
    ['#', 'a/b', true],
    ['a/#', 'a', true],
    ['a/#', 'a/#', true],
    ['a/+', 'a/#', false],
    ['a/+', 'a/+', true],
    ['a/+', 'a/b', true],
    ['a/b', 'a/+', false],
    ['+/+', 'a', false],
    ['a/+/#', 'a/#', false],
    ['#', '$SYS/#', false],
    ['+/x', '$SYS/x', false],
    ['$SYS/#', '$SYS/a', true],
  ];
  for (const [wide, own, expected] of cases)
    it(`${wide} ${expected ? 'covers' : 'does not cover'} ${own}`, () =>
      assert.equal(covers(wide, own), expected));
});
