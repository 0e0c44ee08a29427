/** A filter that a node's live sessions want, or want no more, and its bytes. */
import { BytesError, type Reader, type Writer } from '../../bytes.ts';

export interface FilterChange {
  readonly filter: string;
  readonly zeroOnly: boolean;
  readonly added: boolean;
}

export function writeChange(w: Writer, c: FilterChange): void {
  w.u8((c.added ? 1 : 0) | (c.zeroOnly ? 2 : 0));
  w.str(c.filter);
}

export function readChange(r: Reader): FilterChange {
  const flags = r.u8();
  if (flags > 3) throw new BytesError(`change of a route with flags ${flags}`);
  return { added: (flags & 1) !== 0, zeroOnly: (flags & 2) !== 0, filter: r.str() };
}
