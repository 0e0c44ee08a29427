import assert from 'node:assert/strict';
import { Groups, type Member } from '../route/groups.ts';
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

/** Two members of the group. */
function members(): [Member, Member] {
  const groups = new Groups();
  const join = (connection: number): Member => {
    const of = { connection, qos: 1, persistent: false, window: 1 } as const;
    groups.changeMember('n1', KEY, { ...of, clientId: `c${connection}` }, true);
    return groups.member('n1', connection, KEY)!;
  };
  return [join(1), join(2)];
}

const [m1, m2] = members();

/** A queue whose messages 5, 6 and 7 of one topic were given to m1, and 8 to m2. */
function given(): { q: LedQueue; last: (m: Member) => number | undefined } {
  const q = new LedQueue(KEY);
  for (const index of [5, 6, 7]) q.note(index, 't', m1);
  q.note(8, 't', m2);
  return { q, last: (m) => q.topics.get('t')?.last.get(m) };
}

describe('what comes back to the queue of a group', () => {
  it('goes out again in the order of the log, in whatever order it comes back', () => {
    const q = new LedQueue(KEY);
    for (const index of [6, 9, 5]) q.again.push({ index, sinceMs: 0 });
    assert.deepEqual(
      q.takeAgain().map(({ index }) => index),
      [5, 6, 9],
    );
    assert.deepEqual([q.waiting, q.takeAgain()], [0, []]);
  });
});

describe('what a member of a group was given last of a topic', () => {
  it('is what it was given, in whatever order', () => {
    const { q, last } = given();
    q.note(6, 't', m1);
    assert.deepEqual([last(m1), last(m2)], [7, 8]);
  });

  it('is before all that it refused: the first of that may be given to it next', () => {
    const { q, last } = given();
    q.refused(6, m1);
    assert.deepEqual([last(m1), last(m2)], [5, 8]);
    q.note(6, 't', m1);
    q.refused(7, m1);
    assert.equal(last(m1), 6);
  });

  it('is forgotten when nothing of the topic is under way', () => {
    const { q, last } = given();
    for (const index of [5, 6, 7, 8]) q.forget(index);
    assert.equal(last(m1), undefined);
    q.refused(7, m1);
    assert.equal(q.topics.size, 0);
  });
});
