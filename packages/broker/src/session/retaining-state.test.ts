import assert from 'node:assert/strict';
import { Reader, Writer } from '../bytes.ts';
import { retainedRead, wantRetained } from './retaining-state.ts';
import { Session } from './session.ts';
import { readSession, writeSession } from './session-codec.ts';

describe('what SUBSCRIBEs want of retained messages', () => {
  it('is read in the order of the SUBSCRIBEs, each filter once', () => {
    const s = new Session('c', 1);
    wantRetained(s, ['a'], 1);
    wantRetained(s, ['c', 'b'], 2);
    wantRetained(s, ['b', 'd'], 3);
    assert.deepEqual(s.retainingFilters, ['a']);
    retainedRead(s, 4);
    assert.deepEqual(
      { at: s.retaining, filters: s.retainingFilters },
      { at: 4, filters: ['c', 'b', 'd'] },
    );
    retainedRead(s, 5);
    assert.equal(s.retaining, 0);
  });

  it('is not copied by every further SUBSCRIBE', () => {
    const s = new Session('c', 1);
    wantRetained(s, ['a'], 1);
    wantRetained(s, ['b'], 2);
    const { retainingNext } = s;
    wantRetained(s, ['c'], 3);
    assert.equal(s.retainingNext, retainingNext);
  });

  it('survives a checkpoint', () => {
    const s = new Session('c', 1);
    wantRetained(s, ['a'], 1);
    wantRetained(s, ['c', 'b'], 2);
    const w = new Writer();
    writeSession(w, s);
    const read = readSession(new Reader(w.take()));
    assert.deepEqual([...(read.retainingNext ?? [])], ['c', 'b']);
  });
});
