import assert from 'node:assert/strict';
import { Copy } from '../../src/shard/copy.ts';
import type { Mark, ReplicaHost } from '../../src/shard/host.ts';
import { checkpointKey, entryKey, hardKey } from '../../src/shard/keys.ts';
import { encodeEntry } from '../../src/shard/log.ts';
import { decodeCheckpoint, decodeHard } from '../../src/shard/record.ts';
import { Copies, entryOf, IDS, ListMachine, N1, N2, N3, numberOf, viewOf } from './copies.ts';

const OLD = numberOf(5);
const VIEW = viewOf(OLD, IDS, 0);

/** One copy, its disk as of what it has put, and what it asked of its parts. */
function one(limits = { checkpointEvery: 1e9, tailKeep: 0 }) {
  const disk = new Map<string, Uint8Array>();
  const synced = new Set<string>();
  const marks = new Map<number, Mark>();
  const seen = { reloads: 0, corrupt: [] as string[], complaints: [] as string[], heldFrom: 1e9 };
  const waiting: (() => void)[] = [];
  const machine = new ListMachine();
  const host = {
    self: N1,
    bootEpoch: 1,
    limits,
    marks: { get: (s: number) => marks.get(s), set: (s: number, m: Mark) => marks.set(s, m) },
    batch: {
      put: (key: Uint8Array, value: Uint8Array | null, sync = false) => {
        if (sync) synced.add(String(key));
        if (value) disk.set(String(key), value);
        else disk.delete(String(key));
      },
      onDurable: (fn: () => void) => waiting.push(fn),
    },
    trace: () => {},
    report: (_shard: number, what: string) => seen.complaints.push(what),
  } as unknown as ReplicaHost;
  const copy = new Copy(0, host, machine, {
    recovery: { reload: () => void seen.reloads++ },
    trust: { corrupt: (why) => void seen.corrupt.push(why) },
    appending: { unneeded: (unused) => unused },
    transfer: { heldFrom: () => seen.heldFrom },
  });
  return {
    copy,
    machine,
    marks,
    seen,
    synced,
    has: (key: Uint8Array) => disk.get(String(key)),
    hard: () => decodeHard(disk.get(String(hardKey(0)))!),
    durable: () => {
      for (const fn of waiting.splice(0)) fn();
    },
  };
}

/** The same as an active copy of view 5 with so many entries, durable and committed. */
function active(entries: number, limits?: { checkpointEvery: number; tailKeep: number }) {
  const it = one(limits);
  it.copy.adopt(VIEW);
  it.copy.accept(Array.from({ length: entries }, (_, i) => entryOf(i + 1, OLD)));
  it.durable();
  it.copy.durableUpTo(entries);
  it.copy.learnCommit(entries);
  return it;
}

describe('a copy', () => {
  it('puts a promise and a view to disk in the verb that changes them', () => {
    const { copy, hard } = one();
    copy.promise(numberOf(7, N2));
    assert.equal(hard().promised.counter, 7);
    copy.adopt(viewOf(numberOf(9, N3), IDS, 0));
    assert.deepEqual([hard().promised.counter, hard().view.number.counter], [9, 9]);
    copy.stand(numberOf(10));
    assert.equal(hard().promised.counter, 10);
    assert.equal(copy.role, 'candidate');
  });

  it('has its promises and views synced at either durability, and nothing else', () => {
    const { copy, synced } = one();
    copy.accept([entryOf(1, OLD)]);
    copy.promise(numberOf(7, N2));
    assert.deepEqual([...synced], [String(hardKey(0))]);
  });

  it('has led or stood when it follows, once', () => {
    const { copy } = one();
    assert.equal(copy.follow(), false);
    copy.stand(numberOf(7));
    assert.equal(copy.follow(), true);
    assert.equal(copy.follow(), false);
  });

  it('records that it may vote before its first entries', () => {
    const { copy, has } = one();
    copy.accept([]);
    assert.equal(has(hardKey(0)), undefined);
    copy.accept([entryOf(1, OLD)]);
    const record = has(hardKey(0));
    assert.ok(record);
    copy.accept([entryOf(2, OLD)]);
    assert.equal(has(hardKey(0)), record, 'and not again');
  });

  it('applies an entry once, however often it comes', () => {
    const { copy, machine } = active(2);
    copy.accept([entryOf(1, OLD), entryOf(2, OLD), entryOf(3, OLD)]);
    assert.deepEqual(machine.list, ['e1', 'e2', 'e3']);
  });

  it('learns no commit beyond its log, and none that is lower', () => {
    const { copy } = active(3);
    copy.learnCommit(9);
    assert.equal(copy.commit, 3);
    copy.learnCommit(1);
    assert.equal(copy.commit, 3);
  });

  describe('cuts its log:', () => {
    it('not below what is committed; it says so once, and takes no part', () => {
      const { copy, seen } = active(3);
      assert.equal(copy.mayCut(3), true);
      assert.equal(copy.mayCut(2), false);
      assert.equal(copy.mayCut(3), false);
      assert.deepEqual(seen.complaints, ['contradiction']);
      copy.giveUp();
      assert.equal(copy.contradiction, null);
      assert.equal(copy.valid, false);
    });

    it('entries are gone from the disk, and durable is not what is gone', () => {
      const { copy, has } = active(3);
      copy.truncate(1);
      assert.deepEqual([copy.log.end, copy.durable], [1, 1]);
      assert.equal(has(entryKey(0, 2)), undefined);
    });

    it('it does not vouch for its view any more, until it adopts another', () => {
      const { copy, hard } = active(3);
      copy.truncate(2);
      assert.equal(hard().cut, true);
      copy.adopt(viewOf(numberOf(8, N2), IDS, 2));
      assert.equal(hard().cut, false);
    });

    it('what was applied is rebuilt, once the cut is durable', () => {
      const { copy, durable, seen } = active(3);
      copy.truncate(2);
      assert.equal(copy.loading, true);
      assert.equal(seen.reloads, 0);
      durable();
      assert.equal(seen.reloads, 1);
    });

    it('entries that come meanwhile are stored, and applied by the rebuild', () => {
      const { copy, machine } = active(3);
      copy.truncate(2);
      copy.accept([entryOf(3, numberOf(8, N2))]);
      assert.equal(copy.log.end, 3);
      assert.equal(machine.list.length, 3);
    });
  });

  describe('writes a checkpoint', () => {
    const limits = { checkpointEvery: 2, tailKeep: 0 };

    it('when what it covers is committed, not before', () => {
      const { copy, has } = active(0, limits);
      copy.accept([entryOf(1, OLD), entryOf(2, OLD)]);
      copy.checkpoint();
      assert.equal(has(checkpointKey(0)), undefined);
      copy.learnCommit(2);
      assert.equal(decodeCheckpoint(has(checkpointKey(0))!).index, 2);
      assert.equal(copy.checkpointIndex, 2);
    });

    it('never of entries that were cut meanwhile', () => {
      const { copy, has } = active(0, limits);
      copy.accept([entryOf(1, OLD), entryOf(2, OLD)]);
      copy.checkpoint();
      copy.truncate(1);
      copy.learnCommit(1);
      assert.equal(has(checkpointKey(0)), undefined);
    });

    it('and keeps the tail that a learner is to be sent', () => {
      const { copy, seen } = active(4, limits);
      seen.heldFrom = 1;
      copy.checkpoint();
      assert.equal(copy.log.tailStart, 1);
    });

    it('not while its log is being replaced', () => {
      const { copy, has } = active(4, limits);
      copy.discard();
      copy.checkpoint();
      assert.equal(has(checkpointKey(0)), undefined);
    });
  });

  describe('is replaced by a snapshot:', () => {
    it('does not count from its first part to its last', () => {
      const { copy, hard, machine, has } = active(3);
      copy.discard();
      assert.equal(hard().valid, false);
      machine.restore(Buffer.from('["a","b","c","d"]'));
      copy.restore(4, 3, [{ number: numberOf(8, N2), start: 1 }]);
      assert.equal(hard().valid, true);
      assert.deepEqual([copy.log.end, copy.commit, copy.durable], [4, 3, 0]);
      assert.equal(decodeCheckpoint(has(checkpointKey(0))!).commit, 3);
    });

    it('is rebuilt when what it was given is cut', () => {
      const { copy } = active(3);
      copy.discard();
      copy.restore(6, 3, []);
      copy.truncate(5);
      assert.equal(copy.loading, true);
    });

    it('has what it was given when that is durable, and does not vouch for its old view', () => {
      const { copy, durable, hard } = active(3);
      copy.discard();
      copy.restore(4, 3, []);
      assert.equal(copy.durable, 0);
      durable();
      assert.equal(copy.durable, 4);
      assert.equal(hard().cut, true);
    });
  });

  describe('notes how far it has come', () => {
    it('once the record of its view is durable', () => {
      const { copy, durable, marks } = active(3);
      copy.noteProgress();
      assert.deepEqual([marks.get(0)?.durable, marks.get(0)?.commit], [3, 3]);
      copy.adopt(viewOf(numberOf(8, N2), IDS, 3));
      copy.accept([entryOf(4, numberOf(8, N2))]);
      copy.durableUpTo(4);
      copy.noteProgress();
      assert.equal(marks.get(0)?.durable, 3);
      durable();
      copy.noteProgress();
      assert.equal(marks.get(0)?.durable, 4);
    });

    it('and claims nothing once its log was cut', () => {
      const { copy, durable, marks } = active(3);
      copy.noteProgress();
      copy.truncate(2);
      durable();
      assert.equal(marks.get(0)?.durable, 0);
    });

    it('and forgets what an operator gave up', () => {
      const { copy, marks } = active(3);
      copy.noteProgress();
      copy.mayCut(1);
      copy.giveUp();
      assert.deepEqual([marks.get(0)?.durable, marks.get(0)?.commit], [0, 0]);
    });
  });

  it('lets go of entries in memory that are durable, but for the last', () => {
    const { copy } = active(50);
    copy.accept([entryOf(51, OLD)]);
    copy.forget();
    assert.equal(copy.log.memCount, 4);
    copy.accept(Array.from({ length: 20 }, (_, i) => entryOf(52 + i, OLD)));
    copy.forget();
    assert.equal(copy.log.memStart, 51, 'what is not durable stays');
  });

  it('keeps in memory what its part is to send', () => {
    const copies = new Copies();
    copies.begin(VIEW, 3);
    assert.ok(copies.run(2000, () => copies.at(N1).copy.role === 'leader'));
    copies.run(100);
    copies.loses = (_from, to) => to === N3;
    for (let i = 0; i < 20; i++) copies.propose(copies.at(N1), 'x');
    copies.at(N1).turn();
    copies.at(N1).copy.tick(copies.nowMs);
    assert.ok(copies.at(N1).copy.log.memCount >= 20);
  });

  it('appends what it leads: into log, machine and batch', () => {
    const { copy, has, machine } = active(1);
    const entry = encodeEntry(2, OLD, 1, (w) => w.raw(Buffer.from('mine')));
    copy.append(entry, undefined);
    assert.deepEqual(machine.list, ['e1', 'mine']);
    assert.equal(has(entryKey(0, 2)), entry.bytes);
  });
});
