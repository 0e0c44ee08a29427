/** Who this data folder is: name, store, cluster, and a boot epoch that rises at every start. */
import { BytesError, crc32c, NewerFormatError, Reader, Writer } from '../../bytes.ts';
import { type ClusterSettings, decodeSettings, encodeSettings } from '../../cluster-settings.ts';
import type { BrokerErrorCode } from '../../errors.ts';
import type { Store } from '../../ports.ts';
import { KEY_IDENTITY, KEY_RUNS, KEY_SETTINGS } from '../../shard/keys.ts';
import { type Lives, liveOn, readLives, writeLives } from './lives.ts';

/** Format of everything in the folder; a newer one is refused. */
export const FORMAT_VERSION = 1;

/** A smaller change of {@link Identity.clockAheadMs} is not written. */
export const CLOCK_AHEAD_STEP_MS = 100;

export interface Identity {
  readonly name: string;
  /** Random; a wiped folder is another store. */
  readonly storeId: string;
  readonly bootEpoch: number;
  /** '' until the cluster is founded or joined. */
  readonly clusterId: string;
  /** 0 until then. */
  readonly shardCount: number;
  /** Settings of the cluster, in a record of their own; null until then, and in folders that have none yet. */
  readonly settings: ClusterSettings | null;
  /** By how much the hybrid clock was ahead of the wall, within {@link CLOCK_AHEAD_STEP_MS}. */
  readonly clockAheadMs: number;
  /** Boot epoch that the folder held before this start raised it; absent in a fresh one. */
  readonly heldEpoch?: number;
  /** Runs of the folder, this one too, and what it has seen of others; in a record of their own. */
  readonly lives?: Lives;
  /** The folder was empty. */
  readonly fresh: boolean;
}

export interface IdentityProblem {
  readonly error: BrokerErrorCode;
  readonly message: string;
}

export function randomId(random: () => number, digits: number): string {
  let id = '';
  while (id.length < digits) id += Math.floor(random() * 36).toString(36);
  return id;
}

export function encodeIdentity(id: Identity): Uint8Array {
  const w = new Writer(128);
  w.u8(FORMAT_VERSION);
  w.str(id.name);
  w.str(id.storeId);
  w.varint(id.bootEpoch);
  w.str(id.clusterId);
  w.varint(id.shardCount);
  w.varint(id.clockAheadMs);
  w.u32(crc32c(w.peek()));
  return w.take();
}

function newer(format: number): IdentityProblem {
  return {
    error: 'BROKER_ERR_DATA_NEWER_FORMAT',
    message: `format ${format}, this program reads up to ${FORMAT_VERSION}`,
  };
}

/** @throws BytesError on a damaged record */
export function decodeIdentity(bytes: Uint8Array): Identity | IdentityProblem {
  const r = new Reader(bytes);
  const version = r.u8();
  if (version > FORMAT_VERSION) return newer(version);
  const id = {
    name: r.str(),
    storeId: r.str(),
    bootEpoch: r.varint(),
    clusterId: r.str(),
    shardCount: r.varint(),
    settings: null,
    clockAheadMs: r.varint(),
    fresh: false,
  };
  const end = r.position;
  if (r.u32() !== crc32c(bytes, 0, end)) throw new BytesError('checksum differs');
  return id;
}

/** Writes the identity, and with it the settings of its cluster; `done` when durable. */
export function saveIdentity(store: Store, id: Identity, done: () => void): void {
  const changes = [{ key: KEY_IDENTITY, value: encodeIdentity(id) }];
  if (id.settings) changes.push({ key: KEY_SETTINGS, value: encodeSettings(id.settings) });
  store.write(changes, true, done);
}

/**
 * Loads or creates the identity, raises its boot epoch, and calls `done` once that is durable: no
 * packet may carry an epoch that a crash could repeat.
 */
export function loadIdentity(
  store: Store,
  want: { name: string; wallMs: number; random: () => number },
  done: (result: Identity | IdentityProblem) => void,
): void {
  store.getMany([KEY_IDENTITY, KEY_SETTINGS, KEY_RUNS], ([record, settingsRecord, livesRecord]) => {
    let lives: Lives | null = null;
    let held: Identity | IdentityProblem | null = null;
    try {
      held = record ? decodeIdentity(record) : null;
      if (held && !('error' in held) && settingsRecord) {
        const settings = decodeSettings(settingsRecord);
        held = 'format' in settings ? newer(settings.format) : { ...held, settings };
      }
      if (livesRecord) lives = readLives(livesRecord);
    } catch (e) {
      if (!(e instanceof BytesError)) throw e;
      if (e instanceof NewerFormatError)
        return done({ error: 'BROKER_ERR_DATA_NEWER_FORMAT', message: e.message });
      return done({ error: 'BROKER_ERR_CORRUPT_RECORD', message: `identity: ${e.message}` });
    }
    if (held && 'error' in held) return done(held);
    if (held && held.name !== want.name)
      return done({
        error: 'BROKER_ERR_DATA_OTHER_NODE',
        message: `the folder is of node ${held.name}, started as ${want.name}`,
      });
    const bootEpoch = Math.max((held?.bootEpoch ?? 0) + 1, Math.floor(want.wallMs));
    const liveNow = liveOn(lives, held?.bootEpoch ?? 0, bootEpoch);
    const id: Identity = held
      ? { ...held, bootEpoch, heldEpoch: held.bootEpoch, lives: liveNow }
      : {
          name: want.name,
          storeId: randomId(want.random, 8),
          bootEpoch,
          clusterId: '',
          shardCount: 0,
          settings: null,
          clockAheadMs: 0,
          lives: liveNow,
          fresh: true,
        };
    // Before the identity, whose epoch then is never one that the runs do not have.
    store.write([{ key: KEY_RUNS, value: writeLives(liveNow) }], false, () => {});
    saveIdentity(store, id, () => done(id));
  });
}
