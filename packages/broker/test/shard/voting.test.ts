import assert from 'node:assert/strict';
import { NO_NUMBER } from '../../src/shard/view.ts';
import { entryOf, N1, N2, N3, numberOf, viewOf } from './copies.ts';
import { begun, led, OLD, pass, said } from './steps.ts';

const NEXT = numberOf(9, N3);
const prepare = { type: 'prepare', number: NEXT, handoverOf: NO_NUMBER } as const;

describe('a voter', () => {
  it('does not promise while it hears the leader, and asks it whether it leads', () => {
    const n2 = led().at(N2);
    n2.copy.onMessage(N3, prepare);
    n2.turn();
    assert.deepEqual(
      said(n2, 'promise').map(({ granted }) => granted),
      [false],
    );
    assert.equal(said(n2, 'leading', N1).length, 1);
  });

  it('promises when the leader is silent, hands over, has ended or says that it does not lead', () => {
    for (const how of ['silent', 'hands over', 'ended', 'leads not']) {
      const copies = led();
      const n2 = copies.at(N2);
      const { number } = n2.copy.view;
      if (how === 'silent') copies.kill(N1);
      if (how === 'ended') copies.ended = () => true;
      if (how === 'leads not') n2.copy.onMessage(N1, { type: 'not-leading', number });
      n2.copy.onMessage(N3, how === 'hands over' ? { ...prepare, handoverOf: number } : prepare);
      n2.turn();
      assert.equal(said(n2, 'promise', N3)[0]?.granted, true, how);
    }
  });

  it('promises to no candidate while its process is so young that it may have forgotten a leader', () => {
    const copies = led();
    copies.kill(N1);
    const n2 = copies.at(N2);
    n2.justBooted = true;
    n2.copy.onMessage(N3, prepare);
    assert.equal(said(n2, 'promise')[0]?.granted, false);
  });

  it('says its promise when that is durable, and not once it has promised a higher number', () => {
    const copies = led();
    copies.kill(N1);
    const n2 = copies.at(N2);
    n2.stalled = true;
    n2.copy.onMessage(N3, prepare);
    n2.turn();
    assert.equal(said(n2, 'promise').length, 0);
    const higher = numberOf(10, N3);
    n2.copy.onMessage(N3, { ...prepare, number: higher });
    n2.stalled = false;
    n2.turn();
    assert.deepEqual(
      said(n2, 'promise').map(({ number }) => number.counter),
      [10],
    );
  });

  it('tells the leader that it promised another, before its promise is durable', () => {
    const copies = led();
    copies.kill(N1);
    const n2 = copies.at(N2);
    n2.stalled = true;
    n2.copy.onMessage(N3, prepare);
    assert.equal(said(n2, 'refused', N1)[0]?.promised.counter, NEXT.counter);
  });

  it('gives a candidate that it promised time before it stands itself', () => {
    const copies = led();
    copies.kill(N1);
    const n2 = copies.at(N2);
    n2.copy.onMessage(N3, prepare);
    pass(copies, n2, 980);
    assert.equal(n2.copy.role, 'follower');
    pass(copies, n2, 300);
    assert.equal(n2.copy.role, 'candidate');
  });

  describe('is given a view to install', () => {
    const view = viewOf(NEXT, [N2, N3], 4);
    const entries = [entryOf(4, OLD)];

    it('takes it, and says so when it is durable', () => {
      const n2 = begun().at(N2);
      n2.stalled = true;
      n2.copy.onMessage(N3, { type: 'install', view, prev: 3, entries });
      n2.turn();
      assert.deepEqual(n2.copy.view, view);
      assert.equal(said(n2, 'installed').length, 0);
      n2.stalled = false;
      n2.turn();
      assert.equal(said(n2, 'installed', N3).length, 1);
    });

    it('refuses one below its promise', () => {
      const copies = led();
      copies.kill(N1);
      const n2 = copies.at(N2);
      n2.copy.onMessage(N3, { ...prepare, number: numberOf(10, N3) });
      n2.copy.onMessage(N3, { type: 'install', view, prev: 3, entries });
      assert.equal(said(n2, 'refused', N3).length, 1);
      assert.equal(n2.copy.view.number.leader, N1);
    });

    it('leaves one that its log does not reach, and one whose entries go beyond its start', () => {
      const n2 = begun().at(N2);
      n2.copy.onMessage(N3, { type: 'install', view, prev: 4, entries: [] });
      const beyond = [...entries, entryOf(5, OLD)];
      n2.copy.onMessage(N3, { type: 'install', view, prev: 3, entries: beyond });
      assert.deepEqual(n2.copy.view.number, OLD);
      assert.equal(n2.copy.log.end, 3);
    });

    it('takes a page of its starting log under its promise alone', () => {
      const n2 = begun().at(N2);
      const long = { ...view, startIndex: 6 };
      n2.copy.onMessage(N3, { type: 'install', view: long, prev: 3, entries });
      assert.equal(n2.copy.log.end, 3);
      n2.copy.onMessage(N3, { ...prepare, handoverOf: OLD });
      n2.copy.onMessage(N3, { type: 'install', view: long, prev: 3, entries });
      assert.equal(n2.copy.log.end, 4);
      assert.deepEqual(n2.copy.view.number, OLD);
    });

    it('gives up its own candidacy for it', () => {
      const copies = led();
      copies.kill(N1);
      const n2 = copies.at(N2);
      pass(copies, n2, 300);
      assert.equal(n2.copy.role, 'candidate');
      n2.copy.onMessage(N3, { type: 'install', view, prev: 3, entries });
      assert.equal(n2.copy.role, 'follower');
    });

    it('says where it stands once it has rebuilt what it had applied beyond', () => {
      const n2 = begun().at(N2);
      const append = { type: 'append', number: OLD, prev: 3, commit: 3 } as const;
      n2.copy.onMessage(N1, { ...append, entries: [entryOf(4, OLD), entryOf(5, OLD)] });
      n2.turn();
      n2.copy.onMessage(N3, { type: 'install', view, prev: 3, entries: [entryOf(4, NEXT)] });
      assert.equal(n2.copy.loading, true);
      n2.turn();
      assert.equal(n2.copy.loading, false);
      assert.deepEqual(said(n2, 'appended', N3), [{ type: 'appended', number: NEXT, index: 4 }]);
      assert.deepEqual(n2.state.list, ['e1', 'e2', 'e3', 'e4']);
    });

    it('drops no entry that it knows to be committed for it', () => {
      const n2 = begun().at(N2);
      const short = viewOf(NEXT, [N2, N3], 2);
      n2.copy.onMessage(N3, { type: 'install', view: short, prev: 2, entries: [] });
      assert.equal(n2.copy.log.end, 3);
      assert.equal(n2.complaints.length, 1);
    });
  });

  it('records a view of which it is no copy, and says so when that is durable', () => {
    const n2 = begun().at(N2);
    n2.stalled = true;
    n2.copy.onMessage(N3, { type: 'record', view: viewOf(NEXT, [N3], 3) });
    n2.turn();
    assert.equal(said(n2, 'recorded').length, 0);
    n2.stalled = false;
    n2.turn();
    assert.equal(said(n2, 'recorded', N3).length, 1);
  });

  it('gives its log to a candidate that it promised, and to no other', () => {
    const copies = led();
    copies.kill(N1);
    const n2 = copies.at(N2);
    n2.copy.onMessage(N3, { type: 'fetch', number: NEXT, prev: 1 });
    assert.equal(said(n2, 'refused', N3).length, 1);
    n2.copy.onMessage(N3, prepare);
    n2.copy.onMessage(N3, { type: 'fetch', number: NEXT, prev: 1 });
    n2.settle();
    const [fetched] = said(n2, 'fetched', N3);
    assert.deepEqual([fetched?.prev, fetched?.entries.length, fetched?.end], [1, 2, 3]);
  });

  it('says whether it leads or forms a view when it is asked', () => {
    const copies = led();
    const n1 = copies.at(N1);
    const { number } = n1.copy.view;
    n1.copy.onMessage(N2, { type: 'leading', number });
    assert.equal(said(n1, 'not-leading').length, 0);
    n1.copy.onViewKnown(numberOf(number.counter + 1, N2));
    n1.copy.onMessage(N2, { type: 'leading', number });
    assert.equal(said(n1, 'not-leading', N2).length, 1);
  });
});
