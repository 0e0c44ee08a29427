/** Parts of messages between nodes that several kinds have. */
import { BytesError, type Reader, type Writer } from '../../bytes.ts';

/** Where one request stands among those of its node to its shard; `prev` is the one sent before it. */
export interface RequestNumber {
  readonly shard: number;
  readonly sequence: number;
  readonly prev: number;
}

export function writeNumber(w: Writer, { shard, sequence, prev }: RequestNumber): void {
  w.varint(shard);
  w.varint(sequence);
  w.varint(prev);
}

export function readNumber(r: Reader): RequestNumber {
  return { shard: r.varint(), sequence: r.varint(), prev: r.varint() };
}

export function numberOf(kind: number) {
  return {
    write(w: Writer, n: number): void {
      w.u8(kind);
      w.varint(n);
    },
    read: (r: Reader): number => r.varint(),
  };
}

export function nothing(kind: number) {
  return { write: (w: Writer): void => w.u8(kind), read: (_: Reader): void => {} };
}

export function json(kind: number) {
  return {
    write(w: Writer, id: number, value: unknown): void {
      w.u8(kind);
      w.varint(id);
      w.str(JSON.stringify(value));
    },
    read(r: Reader): { readonly id: number; readonly value: unknown } {
      const id = r.varint();
      const text = r.str();
      try {
        return { id, value: JSON.parse(text) };
      } catch {
        throw new BytesError('not JSON');
      }
    },
  };
}
