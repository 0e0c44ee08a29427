import assert from 'node:assert/strict';
import type { SwimMember } from '../core/message.ts';
import { MemberEvents } from './member-events.ts';

function member(name: string, changes: Partial<SwimMember> = {}): SwimMember {
  const fixed = { bootEpoch: 1, incarnation: 0, address: `${name}:1`, unwell: false };
  return { ...fixed, name, state: 'alive', meta: new Uint8Array(), ...changes };
}

describe('MemberEvents', () => {
  function told(...lists: readonly (readonly SwimMember[])[]): string[] {
    const lines: string[] = [];
    const say = (what: string) => (now: SwimMember) =>
      lines.push(`${what} ${now.name} ${now.state} ${now.bootEpoch}`);
    const events = new MemberEvents(
      { onJoin: say('join'), onLeave: say('leave'), onUpdate: say('update') },
      (call) => call(),
    );
    for (const list of lists) events.take(list);
    return lines;
  }

  it('tells who comes, what changes of those present, and who goes, each once', () => {
    const [a, b] = [member('a'), member('b')];
    const changed = member('b', { incarnation: 1, meta: Uint8Array.of(1) });
    const suspect = member('b', { incarnation: 1, state: 'suspect' });
    const faulty = member('b', { incarnation: 1, state: 'faulty' });
    const lists = [[a], [a, b], [a, b], [a, changed], [a, suspect], [a, faulty], [a, faulty], [a]];
    assert.deepEqual(told(...lists), [
      'join a alive 1',
      'join b alive 1',
      'update b alive 1',
      'update b suspect 1',
      'leave b faulty 1',
    ]);
  });

  it('tells of another life that the first has left and another came', () => {
    const lists = [[member('b')], [member('b', { bootEpoch: 2 })]];
    assert.deepEqual(told(...lists), ['join b alive 1', 'leave b alive 1', 'join b alive 2']);
  });

  it('tells of one that comes back, of one that was dead from the start nothing, of one forgotten that it left', () => {
    const dead = member('b', { state: 'left' });
    assert.deepEqual(told([dead], [member('b', { incarnation: 1 })], []), [
      'join b alive 1',
      'leave b alive 1',
    ]);
    assert.deepEqual(told([dead], []), []);
  });
});
