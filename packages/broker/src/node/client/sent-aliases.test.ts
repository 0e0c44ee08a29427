import assert from 'node:assert/strict';
import { NODE_ALIAS_CHARACTERS_MAX } from './aliases.ts';
import { SentAliases } from './sent-aliases.ts';

describe('Topic Aliases for a client', () => {
  it('are defined with the second message of a topic, and stand for it from then on', () => {
    const aliases = new SentAliases(2, { aliasCharacters: 0 });
    const of = (topic: string) => aliases.of(topic);
    assert.deepEqual(['topic', 'topic', 'topic'].map(of), [0, -1, 1]);
    assert.deepEqual(['other', 'other', 'other', 'topic'].map(of), [0, -2, 2, 1]);
  });

  it('are not for topics that take no more bytes', () => {
    const aliases = new SentAliases(2, { aliasCharacters: 0 });
    for (let i = 0; i < 5; i++) assert.equal(aliases.of('a/b1'), 0);
  });

  it('pass from the least used topic to one that is used more', () => {
    const aliases = new SentAliases(1, { aliasCharacters: 0 });
    for (let i = 0; i < 4; i++) aliases.of('topic');
    const taken = [1, 2, 3, 4, 5, 6].map(() => aliases.of('other'));
    assert.deepEqual(taken, [0, 0, 0, 0, -1, 1]);
    assert.equal(aliases.of('topic'), 0);
  });

  it('are given back when their message does not go out', () => {
    const counters = { aliasCharacters: 0 };
    const aliases = new SentAliases(2, counters);
    aliases.of('topic');
    assert.equal(aliases.of('topic'), -1);
    aliases.forget('topic');
    assert.equal(counters.aliasCharacters, 0);
    assert.deepEqual([aliases.of('other'), aliases.of('other')], [0, -1]);
    assert.deepEqual([aliases.of('topic'), aliases.of('topic')], [0, -2]);
  });

  it('hold a bounded number of topics and characters, and none once the connection is over', () => {
    const counters = { aliasCharacters: 0 };
    const aliases = new SentAliases(16, counters);
    for (let i = 0; i < 10_000; i++) aliases.of(`topic ${i}`);
    assert.ok(counters.aliasCharacters <= 64 * 10, String(counters.aliasCharacters));
    const long = 'x'.repeat(20_000);
    for (let i = 0; i < 10; i++) aliases.of(`${i}${long}`);
    assert.ok(counters.aliasCharacters <= 32 * 1024, String(counters.aliasCharacters));
    aliases.clear();
    assert.equal(counters.aliasCharacters, 0);
    counters.aliasCharacters = NODE_ALIAS_CHARACTERS_MAX;
    assert.deepEqual([aliases.of('topic'), aliases.of('topic')], [0, 0]);
  });
});
