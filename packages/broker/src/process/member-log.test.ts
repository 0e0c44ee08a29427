import assert from 'node:assert/strict';
import { member } from '../../test/samples.ts';
import type { MemberInfo } from '../ports.ts';
import { MemberLog } from './member-log.ts';

describe('the log of members', () => {
  it('has one line for each change of another member, and none for what stays', () => {
    const lines: string[] = [];
    const log = new MemberLog(
      (level, message, fields) => lines.push(`${level} ${fields?.member} ${message}`),
      'n1',
      ({ name }) => name === 'stopper',
    );
    const expect = (members: MemberInfo[], wanted: string[]): void => {
      log.note(members);
      assert.deepEqual(lines.splice(0), wanted);
    };
    const self = member('n1');
    expect([self], []);
    expect([self, member('n2')], ['info n2 a member is present']);
    expect([self, member('n2')], []);
    expect([self, member('n2', { state: 'suspect' })], ['debug n2 a member does not answer']);
    expect([self, member('n2')], ['debug n2 a member answers again']);
    expect([self, member('n2', { state: 'suspect' })], ['debug n2 a member does not answer']);
    expect([self, member('n2', { state: 'faulty' })], ['warn n2 a member is faulty']);
    expect(
      [self, member('n2', { state: 'faulty', inStableView: false })],
      ['warn n2 a member is out of the view: placement ignores it'],
    );
    expect(
      [self, member('n2', { bootEpoch: 2 })],
      ['info n2 a member started again', 'info n2 a member is in the view: placement uses it'],
    );
    expect(
      [self, member('n2', { bootEpoch: 2, unwell: true })],
      ['warn n2 a member reports that its main loop or disk hangs'],
    );
    expect([self, member('n2', { bootEpoch: 2 })], ['info n2 a member is well again']);
    expect([self, member('n2', { bootEpoch: 2, state: 'left' })], ['info n2 a member has left']);
    expect([self, member('n2', { bootEpoch: 2, state: 'left' })], []);
    const stopper = (change: Partial<MemberInfo>) => [self, member('stopper', change)];
    expect(stopper({}), ['info stopper a member is present']);
    expect(stopper({ state: 'faulty' }), ['info stopper a member has stopped']);
    expect(stopper({ state: 'faulty', inStableView: false }), [
      'info stopper a member is out of the view: placement ignores it',
    ]);
  });
});
