import assert from 'node:assert/strict';
import type { CopyId } from '../../src/shard/view.ts';
import { type Copies, entryOf, IDS, N1, N2, N3, numberOf, viewOf } from './copies.ts';
import { begun, led, OLD, pass, promise, said, stands } from './steps.ts';

const VIEW = viewOf(OLD, [N1, N2, N3], 0);
const N4: CopyId = 'n4#s';

/** Why the copy has given up, each time. */
function gaveUp(copies: Copies): unknown[] {
  const { traces } = copies.at(N1);
  return traces.filter(([phase]) => phase === 'abandon').map(([, fields]) => fields?.['why']);
}

describe('forming a view, step by step', () => {
  describe('prepare', () => {
    it('asks again with a higher number after a refusal that names one', () => {
      const copies = begun();
      const n1 = copies.at(N1);
      const number = stands(copies);
      const refusal = { ...promise(number, VIEW, 3), granted: false, promised: numberOf(20, N3) };
      n1.copy.onMessage(N2, refusal);
      n1.copy.onMessage(N3, refusal);
      pass(copies, n1, 3000);
      const counters = new Set(said(n1, 'prepare').map((m) => m.number.counter));
      assert.deepEqual([...counters].slice(0, 2), [number.counter, 21]);
    });

    it('asks once more a copy that does not answer', () => {
      const copies = begun();
      const n1 = copies.at(N1);
      stands(copies);
      n1.sent.length = 0;
      pass(copies, n1, 300);
      assert.equal(said(n1, 'prepare', N2).length, 1);
    });

    it('asks the voters of a newer view that a promise tells of', () => {
      const copies = begun(undefined, 3, [...IDS, N4]);
      const n1 = copies.at(N1);
      const number = stands(copies);
      const newer = { ...viewOf(numberOf(6, N2), [N2, N4], 3), voters: [N1, N2, N4] };
      n1.copy.onMessage(N2, promise(number, newer, 3));
      assert.equal(said(n1, 'prepare', N4).length, 1);
    });

    it('is not deceived by a promise for an earlier number', () => {
      const copies = begun();
      const n1 = copies.at(N1);
      const { counter } = stands(copies);
      for (const id of [N2, N3]) n1.copy.onMessage(id, promise(numberOf(counter - 1), VIEW, 3));
      pass(copies, n1, 600);
      assert.equal(said(n1, 'install').length, 0);
    });

    it('waits for an active copy that is heard, and goes on without one that is not', () => {
      const copies = begun();
      const n1 = copies.at(N1);
      const number = stands(copies);
      n1.copy.onMessage(N2, promise(number, VIEW, 3));
      pass(copies, n1, 200);
      assert.equal(said(n1, 'install').length, 0);
      copies.kill(N3);
      pass(copies, n1, 40);
      assert.deepEqual(said(n1, 'install', N2)[0]?.view.active, [N1, N2]);
    });

    it('gives up in time when there is no majority', () => {
      const copies = begun();
      const n1 = copies.at(N1);
      stands(copies);
      pass(copies, n1, 1020);
      assert.deepEqual(gaveUp(copies), ['timeout in prepare']);
      assert.equal(n1.copy.role, 'follower');
    });
  });

  describe('fetch', () => {
    /** n2's log is longer: n1 asks for what it lacks. */
    function fetches(): Copies {
      const copies = begun();
      const n1 = copies.at(N1);
      const number = stands(copies);
      n1.copy.onMessage(N2, promise(number, VIEW, 5));
      n1.copy.onMessage(N3, promise(number, VIEW, 3));
      assert.deepEqual(said(n1, 'fetch', N2), [{ type: 'fetch', number, prev: 3 }]);
      return copies;
    }

    it('takes over page by page what the holder has', () => {
      const copies = fetches();
      const n1 = copies.at(N1);
      const { number } = said(n1, 'fetch')[0]!;
      for (const prev of [3, 4]) {
        const entries = [entryOf(prev + 1, OLD)];
        n1.copy.onMessage(N2, { type: 'fetched', number, prev, end: 5, entries });
      }
      assert.equal(n1.copy.log.end, 5);
      assert.equal(said(n1, 'install', N3)[0]?.view.startIndex, 5);
    });

    it('asks again when the answer is lost', () => {
      const copies = fetches();
      const n1 = copies.at(N1);
      n1.sent.length = 0;
      pass(copies, n1, 260);
      assert.equal(said(n1, 'fetch', N2).length, 1);
    });

    it('leaves out an answer to an earlier question', () => {
      const copies = fetches();
      const n1 = copies.at(N1);
      const { number } = said(n1, 'fetch')[0]!;
      const entries = [entryOf(3, OLD), entryOf(4, OLD), entryOf(5, OLD)];
      n1.copy.onMessage(N2, { type: 'fetched', number, prev: 2, end: 5, entries });
      assert.equal(n1.copy.log.end, 3);
    });

    it('gives up when the holder lacks what it said to have', () => {
      const copies = fetches();
      const n1 = copies.at(N1);
      const { number } = said(n1, 'fetch')[0]!;
      n1.copy.onMessage(N2, { type: 'fetched', number, prev: 3, end: 5, entries: [] });
      assert.deepEqual(gaveUp(copies), ['the chosen log has a gap']);
    });
  });

  it('asks the holder to lead when its log cannot be taken over by entries', () => {
    const copies = begun();
    const n1 = copies.at(N1);
    const number = stands(copies);
    n1.copy.onMessage(N2, { ...promise(number, VIEW, 50), tailStart: 40 });
    n1.copy.onMessage(N3, promise(number, VIEW, 3));
    assert.equal(said(n1, 'handover', N2).length, 1);
    assert.deepEqual(gaveUp(copies), ['another copy holds the log']);
  });

  it('gives up, and says so, when the log to keep lacks an entry that is committed here', () => {
    const copies = begun();
    const n1 = copies.at(N1);
    const number = stands(copies);
    const newer = viewOf(numberOf(6, N2), [N2, N3], 2);
    const terms = [
      { number: OLD, start: 1 },
      { number: newer.number, start: 3 },
    ];
    for (const id of [N2, N3]) n1.copy.onMessage(id, { ...promise(number, newer, 4), terms });
    assert.deepEqual(gaveUp(copies), ['a committed entry is not in the log to keep']);
    assert.deepEqual(n1.complaints[0]?.[0], 'contradiction');
    assert.equal(n1.copy.log.end, 3);
  });

  describe('sync', () => {
    it('brings up a copy first when too few could be active', () => {
      const copies = begun(viewOf(OLD, [N1, N2], 0), 3);
      const n1 = copies.at(N1);
      copies.kill(N2);
      const number = stands(copies);
      n1.copy.onMessage(N3, { ...promise(number, VIEW, 0), valid: false });
      pass(copies, n1, 600);
      assert.equal(said(n1, 'install').length, 0);
      assert.equal(said(n1, 'probe', N3).length, 1);
    });

    it('makes no view of too few copies when that fails', () => {
      const copies = begun(viewOf(OLD, [N1, N2], 0), 3);
      const n1 = copies.at(N1);
      copies.kill(N2);
      const number = stands(copies);
      n1.copy.onMessage(N3, { ...promise(number, VIEW, 0), valid: false });
      pass(copies, n1, 1600);
      assert.equal(said(n1, 'install').length, 0);
      assert.equal(gaveUp(copies)[0], 'timeout in sync');
    });
  });

  it('goes back to the view before when damaged copies alone recorded the newest', () => {
    const copies = begun(undefined, 3, [...IDS, N4]);
    const n1 = copies.at(N1);
    const number = stands(copies);
    const newest = viewOf(numberOf(6, N2), [N2], 3);
    const moving = { ...newest, voters: [N1, N2, N4], oldVoters: IDS };
    n1.copy.onMessage(N2, { ...promise(number, moving, 3), valid: false });
    n1.copy.onMessage(N3, promise(number, VIEW, 3));
    pass(copies, n1, 600);
    const next = said(n1, 'install', N3)[0]?.view;
    assert.deepEqual([next?.voters, next?.oldVoters], [IDS, []]);
  });

  describe('is asked to lead', () => {
    it('and stands in the name of the leader that hands over', () => {
      const copies = led();
      const n2 = copies.at(N2);
      const { number } = n2.copy.view;
      n2.copy.onMessage(N1, { type: 'handover', number });
      assert.deepEqual(said(n2, 'prepare', N3)[0]?.handoverOf, number);
    });

    it('and does not while it leads, while its log does not count, or when it is no active copy', () => {
      const copies = led([...IDS, N4]);
      const { number } = copies.at(N1).copy.view;
      copies.at(N3).copy.corrupt('a record is damaged');
      for (const id of [N1, N3, N4]) {
        copies.at(id).copy.onMessage(N2, { type: 'handover', number });
        assert.equal(said(copies.at(id), 'prepare').length, 0, id);
      }
    });
  });

  it('asks once each, and only copies that are heard, where placement wants more', () => {
    const N5: CopyId = 'n5#s';
    const copies = begun(viewOf(OLD, [N1, N2], 0), 3, [...IDS, N4, N5]);
    copies.minCopies = 3;
    copies.targets = [N1, N4, N5];
    const n1 = copies.at(N1);
    copies.kill(N2);
    copies.kill(N5);
    const number = stands(copies);
    n1.copy.onMessage(N3, promise(number, VIEW, 0));
    pass(copies, n1, 500);
    n1.copy.onMessage(N3, promise(number, VIEW, 0));
    const asked = n1.sent.filter(({ m }) => m.type === 'prepare').map(({ to }) => to);
    assert.deepEqual([...new Set(asked)], [N2, N3, N4]);
    assert.equal(asked.includes(N1), false);
  });

  describe('install and record', () => {
    /** n1 has promises of both, and installs. */
    function installs(): Copies {
      const copies = begun();
      const n1 = copies.at(N1);
      const number = stands(copies);
      for (const id of [N2, N3]) n1.copy.onMessage(id, promise(number, VIEW, 3));
      n1.turn();
      assert.equal(said(n1, 'install').length, 2);
      return copies;
    }

    it('establishes nothing before all active copies have installed it', () => {
      const copies = installs();
      const n1 = copies.at(N1);
      const { number } = said(n1, 'install')[0]!.view;
      n1.copy.onMessage(N2, { type: 'installed', number });
      assert.equal(n1.copy.role, 'candidate');
      n1.copy.onMessage(N3, { type: 'installed', number });
      assert.equal(n1.copy.role, 'leader');
    });

    it('does not count itself before its own record is durable', () => {
      const copies = begun();
      const n1 = copies.at(N1);
      const number = stands(copies);
      n1.stalled = true;
      for (const id of [N2, N3]) n1.copy.onMessage(id, promise(number, VIEW, 3));
      for (const id of [N2, N3]) n1.copy.onMessage(id, { type: 'installed', number });
      n1.turn();
      assert.equal(n1.copy.role, 'candidate');
      n1.stalled = false;
      n1.turn();
      assert.equal(n1.copy.role, 'leader');
    });

    it('gives up when a copy does not install, and does not count what it says later', () => {
      const copies = installs();
      const n1 = copies.at(N1);
      const { number } = said(n1, 'install')[0]!.view;
      n1.copy.onMessage(N2, { type: 'installed', number });
      pass(copies, n1, 1020);
      assert.deepEqual(gaveUp(copies), ['timeout in install']);
      n1.copy.onMessage(N3, { type: 'installed', number });
      assert.equal(n1.copy.role, 'follower');
    });

    it('needs a majority of the voters: the record counts where there is no copy', () => {
      const copies = begun({ ...VIEW, active: [N1] });
      copies.minCopies = 1;
      const n1 = copies.at(N1);
      const number = stands(copies);
      const other = { ...promise(number, { ...VIEW, active: [N1] }, 0), valid: true };
      for (const id of [N2, N3]) n1.copy.onMessage(id, other);
      n1.turn();
      assert.equal(n1.copy.role, 'candidate');
      assert.equal(said(n1, 'record').length, 2);
      n1.copy.onMessage(N3, { type: 'recorded', number });
      assert.equal(n1.copy.role, 'leader');
      assert.deepEqual([...n1.copy.witnesses].toSorted(), [N1, N3]);
    });

    it('sends the starting log when there is room on the way', () => {
      const copies = begun();
      const n1 = copies.at(N1);
      const number = stands(copies);
      n1.full.add(N3);
      for (const id of [N2, N3]) n1.copy.onMessage(id, promise(number, VIEW, 3));
      assert.equal(said(n1, 'install', N3).length, 0);
      n1.full.clear();
      pass(copies, n1, 40);
      assert.equal(said(n1, 'install', N3).length, 1);
      assert.equal(said(n1, 'install', N2).length, 1);
    });

    it('is over when another number is promised there', () => {
      const copies = installs();
      const n1 = copies.at(N1);
      const { number } = said(n1, 'install')[0]!.view;
      n1.copy.onMessage(N3, { type: 'refused', number, promised: numberOf(30, N3) });
      assert.deepEqual(gaveUp(copies), ['refused']);
    });
  });
});
