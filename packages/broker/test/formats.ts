/** What the tests of formats share: bytes written and read whole, and refusals by name. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { BytesError, NewerFormatError, Reader, Writer } from '../src/bytes.ts';

export function written(write: (w: Writer) => void): Uint8Array {
  const w = new Writer();
  write(w);
  return w.take();
}

/** Reads to the last byte. */
export function whole<T>(bytes: Uint8Array, read: (r: Reader) => T): T {
  const r = new Reader(bytes);
  const value = read(r);
  assert.ok(r.done, 'bytes are left over');
  return value;
}

export function reader(...bytes: number[]): Reader {
  return new Reader(Uint8Array.from(bytes));
}

export type Refusal = readonly [what: string, why: RegExp, read: () => unknown];

/** One test for each: bytes that no version wrote are malformed. */
export function itRefuses(...refusals: readonly Refusal[]): void {
  for (const [what, why, read] of refusals) {
    it(`refuses by name: ${what}`, () => {
      assert.throws(
        read,
        (e) => e instanceof BytesError && !(e instanceof NewerFormatError) && why.test(e.message),
      );
    });
  }
}

/** One test for each: what a later version wrote is not taken for damage. */
export function itRefusesLater(...refusals: readonly Refusal[]): void {
  for (const [what, why, read] of refusals) {
    it(`refuses by name: ${what} of a later version`, () => {
      assert.throws(read, (e) => e instanceof NewerFormatError && why.test(e.message));
    });
  }
}

/**
 * Noise, and what was written with one byte altered, is read as something or refused as malformed: never
 * anything else.
 *
 * @param read reads one of `any`, and asserts what is true of every one
 */
export function survivesNoise<T>(
  any: fc.Arbitrary<T>,
  encode: (value: T) => Uint8Array,
  read: (r: Reader) => void,
): void {
  const readOrRefuse = (input: Uint8Array): void => {
    try {
      read(new Reader(input));
    } catch (error) {
      if (!(error instanceof BytesError)) throw error;
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), readOrRefuse), { numRuns: 2000 });
  fc.assert(
    fc.property(any, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, at, flips) => {
      const altered = encode(value);
      altered[at % altered.length]! ^= flips;
      readOrRefuse(altered);
    }),
    { numRuns: 2000 },
  );
}
