import assert from 'node:assert/strict';
import { MESSAGE } from '../../../test/samples.ts';
import { type Give, Outcome } from '../link/given.ts';
import { Groups } from '../route/groups.ts';
import { Giving } from './giving.ts';

const KEY = '$share/g/t';

/** Members at connections 1 and 2 of node n2, given messages by a leader of node n1. */
function setUp() {
  const groups = new Groups();
  const gives: Give[] = [];
  const heard: unknown[] = [];
  const giving = new Giving({
    groups,
    name: 'n1',
    nowMs: () => 1,
    random: () => 0,
    strategyOf: () => 'round-robin',
    heardMs: () => 1,
    bootEpochOf: () => 1,
    full: () => false,
    give: (give) => gives.push(give) > 0,
  });
  const members = [1, 2].map((connection) => {
    const clientId = `c${connection}`;
    const of = { connection, clientId, qos: 2, persistent: false, window: 10 } as const;
    groups.changeMember('n2', KEY, of, true);
    return groups.member('n2', connection, KEY)!;
  });
  const queue = {
    shard: 0,
    term: 1,
    onRoom: () => {},
    onGiven: (_: string, index: number, outcome: Outcome) => heard.push([index, outcome]),
    onBusy: (_: string, index: number) => heard.push([-index]),
    onLost: (lost: readonly (readonly [string, number])[]) =>
      heard.push(lost.map(([, index]) => index)),
  };
  return { giving, members, gives, heard, queue };
}

describe('what leaders have under way to members', () => {
  it('comes back at once, all together, when the link to its node breaks; not what is bound', () => {
    const { giving, members, heard, queue } = setUp();
    for (let index = 1; index <= 5; index++)
      giving.giveOne(queue, members[index % 2]!, KEY, index, MESSAGE);
    const id = { shard: 16, index: 6, low: 6 };
    giving.giveBound(queue, giving.addressOf(members[0]!), KEY, 6, id, MESSAGE);
    giving.onLinkDown('n2');
    assert.deepEqual(heard, [[1, 2, 3, 4, 5]]);
    assert.equal(giving.underWay, 1);
  });

  it('goes again to the connection that has room, if it is bound to that one', () => {
    const { giving, members, gives, heard, queue } = setUp();
    [...members, ...members].forEach((member, i) => {
      const id = { shard: 16, index: i + 1, low: 1 };
      giving.giveBound(queue, giving.addressOf(member), KEY, i + 1, id, MESSAGE);
    });
    giving.onGiven(gives[0]!.token, Outcome.Done);
    gives.length = 0;
    giving.onFree('n2', { connection: 1, generation: 1, room: 5, upTo: 3 });
    assert.deepEqual(
      gives.map(({ id, generation }) => [id?.index, generation]),
      [[3, 1]],
    );
    giving.onFree('n2', { connection: 2, generation: 1, room: 5, upTo: 4 });
    assert.deepEqual(
      gives.slice(1).map(({ id }) => id?.index),
      [2, 4],
    );
    assert.deepEqual(heard, [[1, Outcome.Done]]);
  });

  it('goes on to a member once it has refused all that was under way, and not before', () => {
    const { giving, members, gives, heard, queue } = setUp();
    const [member] = members;
    giving.giveOne(queue, member!, KEY, 1, MESSAGE);
    giving.giveOne(queue, member!, KEY, 2, MESSAGE);
    giving.onGiven(gives[0]!.token, Outcome.Busy);
    assert.equal(member!.free, false);
    const room = (upTo: number) =>
      giving.onFree('n2', { connection: 1, generation: 1, room: 5, upTo });
    // The second one is on its way there: what comes later must not be taken before it.
    room(gives[0]!.token);
    assert.equal(member!.free, false);
    giving.onGiven(gives[1]!.token, Outcome.Busy);
    room(gives[1]!.token);
    assert.equal(member!.free, true);
    assert.deepEqual(heard, [[-1], [-2]]);
  });
});
