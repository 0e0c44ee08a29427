import assert from 'node:assert/strict';
import { Groups } from '../route/groups.ts';
import { LedQueue } from './led-queue.ts';

const KEY = '$share/g/t';

describe('the queue of a group at its leader', () => {
  it('forgets members that have left while one keeps a topic by never acknowledging', () => {
    const groups = new Groups();
    const q = new LedQueue(KEY);
    let index = 0;
    function giveTo(connection: number): void {
      const clientId = `c${connection}`;
      const of = { connection, clientId, qos: 1, persistent: false, window: 1 } as const;
      groups.changeMember('n1', KEY, of, true);
      q.note(++index, 't', groups.member('n1', connection, KEY)!);
    }
    giveTo(1);
    const stays = groups.member('n1', 1, KEY)!;
    for (let connection = 2; connection <= 1000; connection++) {
      giveTo(connection);
      q.forget(index);
      groups.changeMember('n1', KEY, groups.member('n1', connection, KEY)!, false);
    }
    const { last } = q.topics.get('t')!;
    assert.ok(last.size < 50, `${last.size}`);
    assert.equal(last.get(stays), 1);
  });

  it('takes messages out that are never to be given, wherever it has come to', () => {
    const q = new LedQueue(KEY);
    q.fresh.push(1, 2, 3, 4, 5);
    q.shift();
    q.drop(new Set([3, 5]));
    assert.deepEqual(q.takeWaiting(), [2, 4]);
  });
});
