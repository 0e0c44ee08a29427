import assert from 'node:assert/strict';
import type { CopyId } from '../../src/shard/view.ts';
import { type Copies, IDS, N1, N2, N3, numberOf, viewOf } from './copies.ts';
import { begun, led, OLD, pass, said } from './steps.ts';

const N4: CopyId = 'n4#s';

describe('a leader that keeps its view', () => {
  it('leaves out an active copy that is silent', () => {
    const copies = led();
    const n1 = copies.at(N1);
    copies.kill(N3);
    pass(copies, n1, 40);
    assert.equal(said(n1, 'prepare').length, 2);
  });

  it('does not when too few copies would be left', () => {
    const copies = led();
    const n1 = copies.at(N1);
    copies.minCopies = 3;
    copies.kill(N3);
    pass(copies, n1, 2000);
    assert.equal(said(n1, 'prepare').length, 0);
  });

  it('makes a copy anew that is not whole, though none can be spared', () => {
    const copies = led();
    const n1 = copies.at(N1);
    copies.minCopies = 3;
    n1.copy.onMessage(N3, { type: 'broken', number: n1.copy.view.number });
    pass(copies, n1, 40);
    assert.equal(said(n1, 'prepare', N3).length, 1);
  });

  it('counts nothing on a copy that has less than it acknowledged, and tells it', () => {
    const copies = led();
    const n1 = copies.at(N1);
    const { number } = n1.copy.view;
    n1.copy.onMessage(N3, { type: 'appended', number, index: 2 });
    assert.deepEqual(said(n1, 'short', N3), [{ type: 'short', number, index: 3 }]);
    copies.propose(n1, 'x');
    n1.turn();
    for (const id of [N2, N3]) n1.copy.onMessage(id, { type: 'appended', number, index: 4 });
    assert.equal(n1.copy.commit, 3);
  });

  it('does not bring up one copy more than its node may', () => {
    const copies = led([...IDS, N4]);
    const n1 = copies.at(N1);
    copies.targets = [...IDS, N4];
    n1.mayLearn = false;
    pass(copies, n1, 1000);
    assert.equal(said(n1, 'probe').length, 0);
    n1.mayLearn = true;
    pass(copies, n1, 400);
    assert.equal(said(n1, 'probe', N4).length, 1);
  });

  describe('changes voters', () => {
    /** All of n1, n2 and n4 are to vote. */
    function changing(settled: boolean): Copies {
      const copies = led([...IDS, N4]);
      copies.targets = IDS;
      copies.voters = [N1, N2, N4];
      copies.settled = settled;
      return copies;
    }

    it('when all that are to vote are heard', () => {
      const copies = changing(true);
      copies.kill(N4);
      const n1 = copies.at(N1);
      pass(copies, n1, 1000);
      assert.equal(said(n1, 'prepare').length, 0);
      copies.at(N4).up = true;
      pass(copies, n1, 400);
      assert.ok(said(n1, 'prepare', N4).length > 0);
    });

    it('and drops none that may come back', () => {
      const copies = changing(false);
      const n1 = copies.at(N1);
      pass(copies, n1, 1000);
      assert.equal(said(n1, 'prepare').length, 0);
    });
  });

  it('leaves the state between old and new voters at once', () => {
    const copies = begun({ ...viewOf(OLD, [N1], 0), voters: [N1], oldVoters: [N1] });
    copies.minCopies = 1;
    const n1 = copies.at(N1);
    pass(copies, n1, 100);
    assert.equal(n1.copy.role, 'leader');
    assert.deepEqual(n1.copy.view.oldVoters, []);
  });
});

describe('a leader whose view is new', () => {
  it('has forgotten which copy was not whole in the view before', () => {
    const copies = led();
    const n1 = copies.at(N1);
    n1.copy.onMessage(N3, { type: 'broken', number: n1.copy.view.number });
    assert.ok(copies.run(5000, () => n1.copy.view.active.length === 2));
    assert.ok(copies.run(5000, () => copies.leader?.copy.view.active.length === 3));
    copies.run(100);
    n1.sent.length = 0;
    pass(copies, n1, 1000);
    assert.equal(said(n1, 'prepare').length, 0);
  });

  it('forgets its learners when it leads no more', () => {
    const copies = led([...IDS, N4]);
    const n1 = copies.at(N1);
    copies.targets = [...IDS, N4];
    pass(copies, n1, 400);
    assert.equal(n1.copy.learnerCount, 1);
    n1.copy.onViewKnown(numberOf(30, N2));
    assert.equal(n1.copy.learnerCount, 0);
  });
});

describe('a hand-over', () => {
  /** n1 is to hand over to n2, and has an entry that n2 has not acknowledged. */
  function hands(): Copies {
    const copies = led();
    const n1 = copies.at(N1);
    pass(copies, n1, 900);
    copies.targets = [N2, N1, N3];
    copies.settled = true;
    copies.propose(n1, 'x');
    pass(copies, n1, 400);
    assert.equal(n1.copy.handingOver, true);
    return copies;
  }

  function acknowledge(copies: Copies): void {
    const { copy } = copies.at(N1);
    for (const id of [N2, N3])
      copy.onMessage(id, { type: 'appended', number: copy.view.number, index: copy.log.end });
  }

  it('takes no operation, and waits until the heir has all', () => {
    const copies = hands();
    const n1 = copies.at(N1);
    assert.equal(n1.copy.canPropose, false);
    assert.equal(said(n1, 'handover').length, 0);
    acknowledge(copies);
    pass(copies, n1, 40);
    assert.equal(said(n1, 'handover', N2).length, 1);
    assert.equal(n1.copy.yielded, true);
  });

  it('is given up when the heir does not get that far: the leader serves on', () => {
    const copies = hands();
    const n1 = copies.at(N1);
    pass(copies, n1, 1000);
    assert.equal(n1.copy.canPropose, true);
    assert.deepEqual(n1.established.slice(-1), [true]);
    assert.equal(said(n1, 'prepare').length, 0);
  });

  it('that came to nothing needs a new view: some may have promised the heir', () => {
    const copies = hands();
    const n1 = copies.at(N1);
    acknowledge(copies);
    pass(copies, n1, 1100);
    assert.ok(said(n1, 'prepare').length > 0);
    assert.equal(n1.copy.yielded, true);
  });

  it('is not undone by a voter that promised the heir', () => {
    const copies = hands();
    const n1 = copies.at(N1);
    acknowledge(copies);
    pass(copies, n1, 40);
    const { number } = n1.copy.view;
    const promised = numberOf(number.counter + 1, N2);
    n1.copy.onMessage(N3, { type: 'refused', number, promised });
    assert.equal(said(n1, 'prepare').length, 0);
  });

  it('is not undone at once by a heir that would rather have the old leader', () => {
    const copies = led();
    copies.targets = [N2, N1, N3];
    copies.settled = true;
    assert.ok(copies.run(3000, () => copies.leader?.id === N2));
    copies.targets = [N1, N2, N3];
    assert.equal(
      copies.run(4000, () => copies.leader?.id === N1),
      false,
    );
    assert.ok(copies.run(3000, () => copies.leader?.id === N1));
    assert.equal(copies.at(N1).copy.yielded, false);
  });

  it('goes to any other copy that is heard when the process stops', () => {
    const copies = led();
    copies.kill(N2);
    const n1 = copies.at(N1);
    n1.copy.handOverToAnother(copies.nowMs);
    assert.equal(said(n1, 'handover', N3).length, 1);
  });
});

describe('a follower', () => {
  it('stands when its leader is silent, in the order of placement', () => {
    const copies = led();
    copies.kill(N1);
    copies.targets = [N3, N2, N1];
    pass(copies, copies.at(N2), 180);
    assert.equal(said(copies.at(N2), 'prepare').length, 0);
    pass(copies, copies.at(N3), 40);
    assert.equal(said(copies.at(N3), 'prepare').length, 2);
  });

  it('stands at once as the only voter that led itself, though its process is young', () => {
    for (const oldVoters of [[], [N1]]) {
      const copies = begun({ ...viewOf(OLD, [N1], 0), voters: [N1], oldVoters });
      copies.minCopies = 1;
      const n1 = copies.at(N1);
      n1.justBooted = true;
      pass(copies, n1, 100);
      assert.equal(n1.copy.role, oldVoters.length === 0 ? 'leader' : 'follower');
    }
  });

  it('counts anew how long its leader is silent when it has led itself', () => {
    const copies = led();
    const n1 = copies.at(N1);
    const { number } = n1.copy.view;
    const next = numberOf(number.counter + 1, N2);
    n1.copy.onMessage(N2, { type: 'record', view: viewOf(next, [N2, N3], 3) });
    copies.kill(N2);
    copies.targets = [N3, N2, N1];
    n1.sent.length = 0;
    // Neither active nor preferred: two steps behind n3.
    pass(copies, n1, 380);
    assert.equal(said(n1, 'prepare').length, 0);
  });

  it('does not stand when the leader was silent for a moment', () => {
    const copies = led();
    const n2 = copies.at(N2);
    copies.targets = [N3, N2, N1];
    for (let i = 0; i < 10; i++) {
      copies.at(N1).up = i % 2 === 0;
      pass(copies, n2, 100);
    }
    assert.equal(said(n2, 'prepare').length, 0);
  });

  it('does not stand for a shard of which it is neither copy nor voter', () => {
    const copies = led([...IDS, N4]);
    copies.kill(N1);
    pass(copies, copies.at(N4), 5000);
    assert.equal(said(copies.at(N4), 'prepare').length, 0);
  });

  it('does not stand with a log that does not count', () => {
    const copies = led();
    const n2 = copies.at(N2);
    n2.copy.corrupt('a record is damaged');
    assert.equal(said(n2, 'broken', N1).length, 1);
    copies.kill(N1);
    pass(copies, n2, 5000);
    assert.equal(said(n2, 'prepare').length, 0);
  });

  it('does not stand while its process is so young that it may have forgotten a leader', () => {
    const copies = led();
    copies.kill(N1);
    const n2 = copies.at(N2);
    n2.justBooted = true;
    pass(copies, n2, 2000);
    assert.equal(said(n2, 'prepare').length, 0);
    n2.justBooted = false;
    pass(copies, n2, 100);
    assert.equal(said(n2, 'prepare').length, 2);
  });
});
