import assert from 'node:assert/strict';
import { crc32c, Reader, Writer } from '../../src/bytes.ts';
import type { Peer } from '../../src/node/link/peers.ts';
import { Wire } from '../../src/node/link/wire.ts';
import { type Identity, loadIdentity } from '../../src/node/members/identity.ts';
import { Lineage } from '../../src/node/members/lineage.ts';
import { RUNS_MAX, readLives } from '../../src/node/members/lives.ts';
import { KEY_IDENTITY, KEY_RUNS } from '../../src/shard/keys.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';

type Records = ReturnType<MemoryStore['syncedView']>;

/** A folder: what is in it outlives its runs. */
class Folder {
  readonly #work: (() => void)[] = [];
  store = new MemoryStore({ defer: (fn) => this.#work.push(fn) });

  settle(): void {
    for (let fn = this.#work.shift(); fn; fn = this.#work.shift()) fn();
  }

  run(wallMs: number): Identity {
    let found: Identity | undefined;
    loadIdentity(this.store, { name: 'n3', wallMs, random: () => 0.4 }, (result) => {
      assert.ok(!('error' in result));
      found = result;
    });
    this.settle();
    return found!;
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.store.write([{ key, value }], true, () => {});
    this.settle();
  }

  read(key: Uint8Array): Uint8Array {
    let value: Uint8Array | undefined;
    this.store.getMany([key], ([found]) => {
      value = found;
    });
    this.settle();
    return value!;
  }

  copy(): Records {
    return this.store.syncedView();
  }

  become(records: Records): void {
    this.store = new MemoryStore({ defer: (fn) => this.#work.push(fn) });
    for (const { key, value } of records) this.put(key, value);
  }
}

/** A node with one peer, as far as its lineage knows it. */
function nodeOf(
  folder: Folder,
  identity: Identity,
  o: { acceptLoss?: boolean; active?: readonly string[] } = {},
) {
  const out = new Writer();
  const fatal: string[] = [];
  const logs: string[] = [];
  const peer = { name: 'peer', id: 'peer#s', bootEpoch: 0, trusted: false };
  const self = `n3#${identity.storeId}`;
  const shards = {
    copies: [{ self, view: { active: o.active ?? [self, 'n1#s'] } }],
    standStill: () => logs.push('stands still'),
  };
  const lineage = new Lineage({
    identity,
    acceptLoss: o.acceptLoss ?? false,
    env: {
      store: folder.store,
      random: () => 0.7,
      fatal: (code: string) => fatal.push(code),
      log: (level: string, message: string) => logs.push(`${level} ${message}`),
    },
    peers: { to: () => out, byName: new Map([['peer', peer]]) },
    batch: {
      put: (key: Uint8Array, value: Uint8Array) => folder.put(key, value),
      onDurable: (fn: () => void) => fn(),
    },
    shards,
  } as unknown as ConstructorParameters<typeof Lineage>[0]);
  return {
    lineage,
    peer: peer as unknown as Peer,
    fatal,
    logs,
    /** What it has said since last asked. */
    said: () => new Reader(out.take()),
  };
}

function runsOf(r: Reader): number[] {
  assert.equal(r.u8(), Wire.Runs);
  return r.list((i) => i.varint());
}

describe('the runs of a folder (ADR 0017)', () => {
  it('takes the epoch after a run that the cluster knows, at the next start', () => {
    const folder = new Folder();
    const { lineage, fatal, logs } = nodeOf(folder, folder.run(100));
    const ended: string[] = [];
    lineage.outlive(5_001, (why) => ended.push(why.message));
    folder.settle();
    assert.deepEqual(fatal, ['BROKER_ERR_DATA_OLDER']);
    assert.deepEqual(logs, ['stands still']);
    assert.match(ended[0] ?? '', /knows run 5000 of this node, and this run is 100$/);
    assert.equal(folder.run(200).bootEpoch, 5_002);
  });

  it('are told first on a link, this one last', () => {
    const folder = new Folder();
    folder.run(100);
    const { lineage, peer, said } = nodeOf(folder, folder.run(200));
    lineage.hello(peer);
    assert.deepEqual(runsOf(said()), [100, 200]);
  });

  it('are believed with the last one that was seen, and what is seen outlives the node', () => {
    const folder = new Folder();
    const first = nodeOf(folder, folder.run(100));
    const tell = (node: typeof first, bootEpoch: number, runs: readonly number[]) => {
      Object.assign(node.peer, { bootEpoch, trusted: false });
      node.lineage.onRuns(node.peer, runs);
      return node.peer.trusted;
    };
    assert.equal(tell(first, 20, [10, 20]), true);
    assert.deepEqual(readLives(folder.read(KEY_RUNS)).seen, new Map([['peer#s', 20]]));
    const second = nodeOf(folder, folder.run(200));
    assert.equal(tell(second, 30, [10, 30]), false);
    const r = second.said();
    assert.deepEqual([r.u8(), r.varint()], [Wire.RunMissing, 20]);
    assert.deepEqual(
      readLives(folder.read(KEY_RUNS)).seen.get('peer#s'),
      20,
      'it goes on to be asked for',
    );
    assert.equal(tell(second, 30, [10, 20, 30]), true);
    const many = Array.from({ length: RUNS_MAX }, (_, i) => 40 + i);
    assert.equal(tell(second, 200, many), true, 'a full list has forgotten the oldest');
    assert.equal(tell(second, 201, [...many.slice(1), 201]), false, '200 was seen, and is missing');
  });

  it('lack those that were lived on another copy of the folder', () => {
    const folder = new Folder();
    folder.run(100);
    const older = folder.copy();
    folder.run(200);
    folder.become(older);
    assert.deepEqual(folder.run(300).lives?.runs, [100, 300]);
  });

  it('a peer is told of a later run of its name, with another folder', () => {
    const folder = new Folder();
    const { lineage, peer, said } = nodeOf(folder, folder.run(100));
    const runs = (id: string, bootEpoch: number, before: number[] = []) => {
      Object.assign(peer, { id, bootEpoch });
      lineage.onRuns(peer, [...before, bootEpoch]);
    };
    runs('peer#old', 500);
    said();
    runs('peer#new', 400);
    const r = said();
    assert.deepEqual([r.u8(), r.varint()], [Wire.LaterRun, 500]);
    runs('peer#new', 501, [400]);
    assert.equal(said().done, true);
  });

  it('begins anew above a later run that a peer has seen', () => {
    const folder = new Folder();
    const { lineage, fatal } = nodeOf(folder, folder.run(100));
    lineage.onLaterRun(90);
    lineage.onLaterRun(Number.MAX_SAFE_INTEGER);
    folder.settle();
    assert.deepEqual(fatal, []);
    lineage.onLaterRun(5_000);
    folder.settle();
    assert.deepEqual(fatal, ['BROKER_ERR_DATA_OLDER']);
    assert.equal(folder.run(200).bootEpoch, 5_002);
  });

  describe('if one is missing', () => {
    const restored = () => {
      const folder = new Folder();
      folder.run(100);
      return { folder, identity: folder.run(300) };
    };

    it('the folder becomes another store, and the node starts again', () => {
      const { folder, identity } = restored();
      const { lineage, fatal, logs } = nodeOf(folder, identity);
      lineage.onRunMissing(200);
      folder.settle();
      assert.deepEqual(fatal, ['BROKER_ERR_DATA_OLDER']);
      assert.deepEqual(logs, ['stands still']);
      assert.notEqual(folder.run(400).storeId, identity.storeId);
    });

    it('the only copy of a shard is left as it is, and the node ends', () => {
      const { folder, identity } = restored();
      const before = folder.read(KEY_IDENTITY);
      const { lineage, fatal } = nodeOf(folder, identity, { active: [`n3#${identity.storeId}`] });
      lineage.onRunMissing(200);
      folder.settle();
      assert.deepEqual(fatal, ['BROKER_ERR_DATA_SHORT']);
      assert.deepEqual(folder.read(KEY_IDENTITY), before);
    });

    it('an operator may accept the loss: the run counts as had', () => {
      const { folder, identity } = restored();
      const { lineage, fatal, said } = nodeOf(folder, identity, { acceptLoss: true });
      lineage.onRunMissing(200);
      assert.deepEqual(fatal, []);
      assert.deepEqual(runsOf(said()), [100, 200, 300]);
      assert.deepEqual(folder.run(400).lives?.runs, [100, 200, 300, 400]);
    });

    it('the record beside the store tells, before any node is asked', () => {
      const { folder, identity } = restored();
      const { lineage, fatal } = nodeOf(folder, identity);
      assert.equal(lineage.onLastRun(200), false, 'the store was last of run 100');
      folder.settle();
      assert.deepEqual(fatal, ['BROKER_ERR_DATA_OLDER']);
    });

    it('the record beside the store is of the same run, or there is none', () => {
      const { folder, identity } = restored();
      const { lineage, fatal } = nodeOf(folder, identity);
      assert.equal(lineage.onLastRun(100), true);
      assert.equal(lineage.onLastRun(), true);
      assert.deepEqual(fatal, []);
    });

    it('but was had, nothing happens', () => {
      const { folder, identity } = restored();
      const { lineage, fatal } = nodeOf(folder, identity);
      lineage.onRunMissing(100);
      assert.deepEqual(fatal, []);
    });
  });

  it('of a later format are refused as such', () => {
    const folder = new Folder();
    folder.run(100);
    const record = Uint8Array.from(folder.read(KEY_RUNS));
    record[0]!++;
    const end = record.length - 4;
    new DataView(record.buffer).setUint32(end, crc32c(record, 0, end), true);
    folder.put(KEY_RUNS, record);
    loadIdentity(folder.store, { name: 'n3', wallMs: 200, random: () => 0 }, (result) =>
      assert.equal('error' in result && result.error, 'BROKER_ERR_DATA_NEWER_FORMAT'),
    );
    folder.settle();
  });
});
