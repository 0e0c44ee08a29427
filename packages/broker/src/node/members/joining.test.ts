import assert from 'node:assert/strict';
import { BytesError } from '../../bytes.ts';
import { settingsFrom } from '../../cluster-settings.ts';
import { DEFAULT_TIMINGS } from '../../config-schema.ts';
import { KEY_IDENTITY, KEY_SETTINGS } from '../../shard/keys.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import type { Identity } from './identity.ts';
import { Joining, type JoiningOptions } from './joining.ts';
import type { JoiningPort } from './members-port.ts';

const IDENTITY: Identity = {
  name: 'n1',
  storeId: 's1',
  bootEpoch: 1,
  clusterId: '',
  shardCount: 0,
  settings: null,
  clockAheadMs: 0,
  fresh: true,
};
const SETTINGS = settingsFrom({
  shards: 8,
  replicas: 3,
  durability: 'disk',
  consistency: 'consistent',
  silenceMs: 500,
});

/** A node that has no cluster yet, and what it did, in order. */
function setUp(o: Partial<JoiningOptions> = {}) {
  const work: (() => void)[] = [];
  const did: string[] = [];
  const durable: (() => void)[] = [];
  const store = new MemoryStore({ defer: (fn) => work.push(fn) });
  const settle = () => {
    for (let fn = work.shift(); fn; fn = work.shift()) fn();
  };
  const clock = { aheadMs: 0 };
  const port = {
    env: {
      store,
      log: (level: string, message: string) => did.push(`${level} ${message}`),
      fatal: (code: string) => did.push(code),
      adopted: (durability: string) => did.push(`adopted ${durability}`),
    },
    clock,
    batch: { put: () => {}, onDurable: (fn: () => void) => durable.push(fn) },
    views: { resize: (n: number) => did.push(`views ${n}`) },
    membership: { place: (n: number) => did.push(`place ${n}`) },
    lineage: { onLastRun: () => true },
    shards: {
      create: (n: number) => did.push(`shards ${n}`),
      load: (done: (problem: null) => void) => done(null),
      found: () => did.push('found'),
    },
  } as unknown as JoiningPort;
  const own = { shardCount: 16, replicas: 3, durability: 'disk' } as const;
  const options = { identity: IDENTITY, found: false, ...own, ...o };
  const joining = new Joining(options, DEFAULT_TIMINGS, port);
  /** Which records the folder has. */
  const records = () => {
    let found: string[] = [];
    store.getMany([KEY_IDENTITY, KEY_SETTINGS], (values) => {
      found = ['identity', 'settings'].filter((_, i) => values[i]);
    });
    settle();
    return found;
  };
  return { joining, did, durable, settle, records, clock };
}

describe('which cluster a node is of', () => {
  it('a founder says so in its folder when all first views are durable, and not before', () => {
    const { joining, did, durable, settle, records } = setUp({ found: true });
    let booted = false;
    joining.boot(() => {
      booted = true;
    });
    assert.deepEqual(did, ['views 16', 'shards 16', 'place 16', 'found']);
    assert.deepEqual([booted, records()], [false, []]);
    for (const run of durable) run();
    settle();
    assert.deepEqual([booted, records()], [true, ['identity', 'settings']]);
    assert.equal(joining.identity.clusterId, 'cs1');
  });

  it('a joiner has no shards until a peer tells the settings, and then those of the cluster', () => {
    const { joining, did, settle, records } = setUp();
    assert.equal(joining.onSettings(SETTINGS), false, 'not before the folder is read');
    joining.boot(() => {});
    assert.deepEqual([joining.settings, joining.shardCount], [null, 0]);
    assert.equal(joining.onSettings(SETTINGS), true);
    settle();
    assert.deepEqual(joining.settings, SETTINGS);
    assert.deepEqual(joining.cluster, SETTINGS);
    assert.deepEqual(did, ['adopted disk', 'views 8', 'shards 8', 'place 8']);
    assert.deepEqual(records(), ['identity', 'settings']);
    assert.equal(joining.onSettings(SETTINGS), false, 'no news any more');
  });

  it('a joiner that was told otherwise ends, once', () => {
    const { joining, did } = setUp({ given: { replicas: 2 } });
    joining.boot(() => {});
    assert.equal(joining.onSettings(SETTINGS), false);
    assert.equal(joining.onSettings(SETTINGS), false);
    assert.deepEqual(did, ['BROKER_ERR_JOIN_SETTINGS']);
    assert.equal(joining.shardCount, 0);
  });

  it('members that disagree refuse each other’s words', () => {
    const { joining } = setUp();
    joining.boot(() => {});
    joining.onSettings(SETTINGS);
    assert.throws(() => joining.onSettings({ ...SETTINGS, silenceMs: 700 }), BytesError);
    assert.deepEqual(joining.settings, SETTINGS);
  });

  it('takes the first id of a cluster that it hears', () => {
    const { joining } = setUp();
    joining.onClusterId('c1');
    joining.onClusterId('c2');
    assert.equal(joining.identity.clusterId, 'c1');
  });

  it('writes how far its clock is ahead when that has changed by 100 ms', () => {
    const { joining, clock } = setUp();
    clock.aheadMs = 99;
    joining.keepClock();
    assert.equal(joining.identity.clockAheadMs, 0);
    clock.aheadMs = 100;
    joining.keepClock();
    assert.equal(joining.identity.clockAheadMs, 100);
  });
});
