import assert from 'node:assert/strict';
import type { UserEvent } from '../core/event-codec.ts';
import type { SwimMember } from '../core/message.ts';
import type { Report } from './messages.ts';
import { Reporter } from './reporter.ts';

const member = (name: string, incarnation = 0): SwimMember => ({
  name,
  bootEpoch: 1,
  incarnation,
  state: 'alive',
  address: 'host:1',
  meta: new Uint8Array(),
  unwell: false,
});

const event = (sequence: number): UserEvent => ({
  name: 'e',
  payload: new Uint8Array(),
  origin: 'b',
  bootEpoch: 1,
  sequence,
  ageMs: 0,
});

describe('Reporter', () => {
  it('has one report under way, and makes one of what gathers meanwhile', async () => {
    const reports: Report[] = [];
    let members = [member('a')];
    let view = { number: 1, names: ['a'] };
    const reporter = new Reporter({ members: () => members, view: () => view }, (report) =>
      reports.push(report),
    );
    reporter.membersChanged();
    await Promise.resolve();
    assert.equal(reports.length, 0, 'the main loop is not ready yet');
    reporter.taken();
    assert.deepEqual(reports[0]?.members?.changed, members);
    for (let n = 1; n <= 1_000; n++) {
      members = [member('a', n), member('b', n)];
      view = { number: n, names: n % 2 === 0 ? ['a', 'b'] : ['a', 'c'] };
      reporter.membersChanged();
      reporter.notice('SWIM_ERR_OTHER_CLUSTER', `host:${n}`);
      for (let more = 0; more < 2; more++) reporter.event(event(n));
      reporter.log('info', `line ${n}`);
      await Promise.resolve();
    }
    reporter.answer({ id: 1, value: true, error: undefined });
    reporter.learned('one');
    reporter.departed();
    await Promise.resolve();
    assert.equal(reports.length, 1);
    reporter.taken();
    assert.equal(reports.length, 2);
    const last = reports[1] as Report;
    assert.deepEqual(last.members?.changed, members);
    assert.deepEqual(last.view, { number: 1_000, added: ['b'], removed: [] });
    assert.equal(last.notices.length, 256);
    assert.equal(last.logs.length, 257);
    assert.deepEqual(last.logs.at(-1)?.[2], { lost: 976 });
    assert.equal(last.events.length, 1_024);
    assert.equal(last.outcomes.length, 1);
    assert.equal(last.clusterId, 'one');
    assert.equal(last.left, true);
    reporter.taken();
    assert.equal(reports.length, 2, 'nothing new');
  });
});
