/** The record of {@link Lineage}: the runs of this folder, and the last epoch seen of others. */
import { BytesError, checkFormat, crc32c, Reader, Writer } from '../../bytes.ts';
import type { CopyId } from '../../shard/view.ts';

/** Runs that a folder remembers, the newest ones. */
export const RUNS_MAX = 64;
const FORMAT = 1;

export interface Lives {
  /** Ascending; ends with this run. */
  readonly runs: readonly number[];
  readonly seen: ReadonlyMap<CopyId, number>;
}

export function writeLives({ runs, seen }: Lives): Uint8Array {
  const w = new Writer(256);
  w.u8(FORMAT);
  w.list(runs, (o, epoch) => o.varint(epoch));
  w.list([...seen], (o, [id, epoch]) => {
    o.str(id);
    o.varint(epoch);
  });
  w.u32(crc32c(w.peek()));
  return w.take();
}

/** @throws BytesError on a damaged record, NewerFormatError on one of a later format */
export function readLives(bytes: Uint8Array): Lives {
  const end = bytes.length - 4;
  if (end < 1 || new Reader(bytes, end).u32() !== crc32c(bytes, 0, end))
    throw new BytesError('checksum differs');
  const r = new Reader(bytes, 0, end);
  checkFormat('record of runs', r.u8(), FORMAT);
  const runs = r.list((i) => i.varint());
  return { runs, seen: new Map(r.list((i) => [i.str(), i.varint()] as const)) };
}

/** A new run begins. */
export function liveOn(held: Lives | null, heldEpoch: number, bootEpoch: number): Lives {
  const before = held?.runs ?? (heldEpoch > 0 ? [heldEpoch] : []);
  return { runs: [...before, bootEpoch].slice(-RUNS_MAX), seen: held?.seen ?? new Map() };
}
