import assert from 'node:assert/strict';
import {
  hasWildcard,
  isTopicFilter,
  isTopicName,
  matches,
  parseShare,
  TOPIC_BYTES_MAX,
  TOPIC_LEVELS_MAX,
} from './topic.ts';

describe('Topic Names and Topic Filters', () => {
  it('[MQTT-4.7.1-1] # stands alone and last', () => {
    for (const filter of ['#', '/#', 'sport/#', 'sport/tennis/#', '+/#']) {
      assert.equal(isTopicFilter(filter), true, filter);
    }
    for (const filter of ['sport/tennis#', 'sport/#/ranking', '##', '#/', 'a#', '#a', '+#']) {
      assert.equal(isTopicFilter(filter), false, filter);
    }
  });

  it('[MQTT-4.7.1-2] + takes a whole level', () => {
    for (const filter of ['+', '+/', '/+', '+/tennis/#', 'sport/+/player1', '+/+']) {
      assert.equal(isTopicFilter(filter), true, filter);
    }
    for (const filter of ['sport+', '+sport', 'a/b+/c', '++', 'a/+b']) {
      assert.equal(isTopicFilter(filter), false, filter);
    }
  });

  it('[MQTT-4.7.3-1] at least one character, [MQTT-4.7.3-2] no U+0000', () => {
    assert.equal(isTopicFilter(''), false);
    assert.equal(isTopicName(''), false);
    assert.equal(isTopicFilter('a\0'), false);
    assert.equal(isTopicName('a\0'), false);
    assert.equal(isTopicName('/'), true);
    assert.equal(isTopicName(' '), true);
  });

  it('[MQTT-3.3.2-2] a Topic Name has no wildcards', () => {
    for (const topic of ['#', '+', 'a/+', 'a/#', 'a+b']) assert.equal(isTopicName(topic), false);
  });

  it('[MQTT-4.7.3-3] at most 65,535 bytes of UTF-8', () => {
    assert.equal(isTopicName('a'.repeat(TOPIC_BYTES_MAX)), true);
    assert.equal(isTopicName('a'.repeat(TOPIC_BYTES_MAX + 1)), false);
    assert.equal(isTopicName('€'.repeat(21_845)), true);
    assert.equal(isTopicName('€'.repeat(21_846)), false);
    assert.equal(isTopicFilter('€'.repeat(21_846)), false);
  });

  it('bounds the number of levels', () => {
    assert.equal(isTopicName('/'.repeat(TOPIC_LEVELS_MAX - 1)), true);
    assert.equal(isTopicName('/'.repeat(TOPIC_LEVELS_MAX)), false);
    assert.equal(isTopicFilter('+/'.repeat(TOPIC_LEVELS_MAX)), false);
  });

  it('recognises wildcards', () => {
    assert.equal(hasWildcard('a/b'), false);
    assert.equal(hasWildcard('a/+'), true);
    assert.equal(hasWildcard('#'), true);
  });

  it('[MQTT-4.8.2-1] [MQTT-4.8.2-2] takes Shared Subscriptions apart', () => {
    assert.equal(parseShare('a/b'), undefined);
    assert.equal(parseShare('$shared/a/b'), undefined);
    assert.deepEqual(parseShare('$share/g/a/+'), { shareName: 'g', filter: 'a/+' });
    assert.deepEqual(parseShare('$share/g//a'), { shareName: 'g', filter: '/a' });
    for (const bad of [
      '$share/',
      '$share//a',
      '$share/g',
      '$share/g/',
      '$share/+/a',
      '$share/g/a#',
    ]) {
      assert.equal(parseShare(bad), 'invalid', bad);
    }
  });
});

describe('matches', () => {
  const cases: [filter: string, topic: string, expected: boolean][] = [
    // §4.7.1.2
    ['sport/tennis/player1/#', 'sport/tennis/player1', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/ranking', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
    ['sport/#', 'sport', true],
    ['sport/#', 'sports', false],
    ['#', 'anything/at/all', true],
    // §4.7.1.3
    ['sport/tennis/+', 'sport/tennis/player1', true],
    ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
    ['sport/+', 'sport', false],
    ['sport/+', 'sport/', true],
    ['+/+', '/finance', true],
    ['/+', '/finance', true],
    ['+', '/finance', false],
    // §4.7.2 [MQTT-4.7.2-1]
    ['#', '$SYS/broker', false],
    ['+/broker', '$SYS/broker', false],
    ['+', '$SYS', false],
    ['$SYS/#', '$SYS/broker', true],
    ['$SYS/+', '$SYS/broker', true],
    ['a/#', 'a/$b', true],
    // §4.7.3 [MQTT-4.7.3-4]: case and slashes count, no normalization
    ['ACCOUNTS', 'Accounts', false],
    ['/finance', 'finance', false],
    ['a', 'a/', false],
    ['Accounts payable', 'Accounts payable', true],
    ['\u00c5', 'A\u030a', false],
  ];
  for (const [filter, topic, expected] of cases) {
    it(`${filter} ${expected ? 'matches' : 'does not match'} ${topic}`, () => {
      assert.equal(matches(filter, topic), expected);
    });
  }
});
