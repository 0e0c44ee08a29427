/**
 * Records as tables of fields: one list says which fields a record has, in which order their bytes stand,
 * and how each is written and read.
 *
 * The records of every message (ENQ, ACK, ASSIGN, RX2, RX2DONE, ENQD, RETAIN; append and its answer) are
 * written by hand, beside the tables and by the same interface: a table costs a third more time to write, and
 * half more to read.
 */
import type { Reader, Writer } from './bytes.ts';

/** How a value becomes bytes, and comes back. */
export interface Field<T> {
  write(w: Writer, value: T): void;
  /** @throws BytesError on bytes that no writer wrote */
  read(r: Reader): T;
}

/** A field for each property of `T`, in the order of their bytes. */
export type Fields<T> = { readonly [K in keyof T]-?: Field<T[K]> };

export const bool: Field<boolean> = { write: (w, v) => w.bool(v), read: (r) => r.bool() };
export const u8: Field<number> = { write: (w, v) => w.u8(v), read: (r) => r.u8() };
export const varint: Field<number> = { write: (w, v) => w.varint(v), read: (r) => r.varint() };
export const f64: Field<number> = { write: (w, v) => w.f64(v), read: (r) => r.f64() };
export const str: Field<string> = { write: (w, v) => w.str(v), read: (r) => r.str() };
export const bytes: Field<Uint8Array> = { write: (w, v) => w.bytes(v), read: (r) => r.bytes() };

/** −1 and up. */
export const optional: Field<number> = {
  write: (w, v) => w.varint(v + 1),
  read: (r) => r.varint() - 1,
};

export function list<T>(item: Field<T>): Field<readonly T[]> {
  return { write: (w, items) => w.list(items, item.write), read: (r) => r.list(item.read) };
}

/** A byte that says whether there is a value, and the value. */
export function nullable<T>(value: Field<T>): Field<T | null> {
  return {
    write(w, v) {
      w.bool(v !== null);
      if (v !== null) value.write(w, v);
    },
    read: (r) => (r.bool() ? value.read(r) : null),
  };
}

export function record<T extends object>(fields: Fields<T>): Field<T> {
  return table(fields, () => ({}));
}

/** A record that is one of several types; which one, its bytes do not say. */
export function typed<T extends { readonly type: string }>(
  type: T['type'],
  fields: Fields<Omit<T, 'type'>>,
): Field<T> {
  return table<T>(fields as Fields<object>, () => ({ type }));
}

function table<T extends object>(fields: Fields<object>, begin: () => object): Field<T> {
  const names = Object.keys(fields);
  const each = Object.values(fields) as Field<unknown>[];
  return {
    write(w, value) {
      const from = value as Record<string, unknown>;
      for (let i = 0; i < each.length; i++) each[i]!.write(w, from[names[i]!]);
    },
    read(r) {
      const into = begin() as Record<string, unknown>;
      for (let i = 0; i < each.length; i++) into[names[i]!] = each[i]!.read(r);
      return into as T;
    },
  };
}
