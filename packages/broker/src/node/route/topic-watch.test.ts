import assert from 'node:assert/strict';
import type { Message } from '../../session/message.ts';
import {
  AWAY_WATCHED_TOPICS_MAX,
  NODE_WATCHED_TOPICS_MAX,
  TopicWatch,
  WatchedTopics,
} from './topic-watch.ts';

function message(topic: string, hlc: number): Message {
  const nothing = new Uint8Array(0);
  const rest = { payload: nothing, properties: nothing, publisher: '', expiresAtMs: 0 };
  return { topic, hlc, qos: 1, retain: false, ...rest };
}

describe('topics with a live message', () => {
  it('outdate copies that are not newer', () => {
    const watch = new TopicWatch(new WatchedTopics());
    assert.equal(watch.outdates(message('a', 1)), false);
    watch.saw(message('a', 5));
    watch.saw(message('a', 3));
    for (const [hlc, outdated] of [
      [4, true],
      [5, true],
      [6, false],
    ] as const)
      assert.equal(watch.outdates(message('a', hlc)), outdated);
    assert.equal(watch.outdates(message('b', 1)), false);
  });

  it('are bounded for one client and for all of a node, and given back', () => {
    const node = new WatchedTopics();
    const away = new TopicWatch(node);
    for (let i = 0; i < AWAY_WATCHED_TOPICS_MAX + 10; i++)
      away.saw(message(`t/${i}`, 1), AWAY_WATCHED_TOPICS_MAX);
    assert.deepEqual([away.size, node.count], [AWAY_WATCHED_TOPICS_MAX, AWAY_WATCHED_TOPICS_MAX]);
    node.count = NODE_WATCHED_TOPICS_MAX;
    const other = new TopicWatch(node);
    other.saw(message('a', 1));
    assert.equal(other.size, 0);
    away.saw(message('t/1', 9));
    assert.ok(away.outdates(message('t/1', 9)));
    away.clear();
    assert.deepEqual(
      [away.size, node.count],
      [0, NODE_WATCHED_TOPICS_MAX - AWAY_WATCHED_TOPICS_MAX],
    );
  });
});
