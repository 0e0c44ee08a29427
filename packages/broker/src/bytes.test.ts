import assert from 'node:assert/strict';
import fc from 'fast-check';
import { BytesError, crc32c, Reader, Writer } from './bytes.ts';

interface Kind {
  readonly write: (w: Writer) => void;
  readonly read: (r: Reader) => unknown;
  readonly value: unknown;
}

const kind = <T>(
  values: fc.Arbitrary<T>,
  write: (w: Writer, value: T) => void,
  read: (r: Reader, value: T) => unknown,
): fc.Arbitrary<Kind> =>
  values.map((value) => ({ value, write: (w) => write(w, value), read: (r) => read(r, value) }));

const octets = fc.uint8Array({ maxLength: 40 });
/** Any length in bits is as likely, so that each length in bytes comes up. */
const varint = fc
  .tuple(fc.maxSafeNat(), fc.integer({ min: 0, max: 52 }))
  .map(([n, bits]) => Math.floor(n / 2 ** bits));

const anyKind = fc.oneof(
  kind(
    fc.integer({ min: 0, max: 255 }),
    (w, v) => w.u8(v),
    (r) => r.u8(),
  ),
  kind(
    fc.boolean(),
    (w, v) => w.bool(v),
    (r) => r.bool(),
  ),
  kind(
    fc.integer({ min: 0, max: 0xffffffff }),
    (w, v) => w.u32(v),
    (r) => r.u32(),
  ),
  kind(
    varint,
    (w, v) => w.varint(v),
    (r) => r.varint(),
  ),
  kind(
    fc.double(),
    (w, v) => w.f64(v),
    (r) => r.f64(),
  ),
  kind(
    fc.string({ unit: 'grapheme', maxLength: 300 }),
    (w, v) => w.str(v),
    (r) => r.str(),
  ),
  kind(
    octets,
    (w, v) => w.bytes(v),
    (r) => r.bytes(),
  ),
  kind(
    octets,
    (w, v) => w.raw(v),
    (r, v) => r.raw(v.length),
  ),
  kind(
    fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 20 }),
    (w, v) => w.list(v, (o, item) => o.str(item)),
    (r) => r.list((i) => i.str()),
  ),
);

/** Read from plain bytes, so that slices compare equal to what was written. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

function varintBytes(value: number): Uint8Array {
  const w = new Writer(1);
  w.varint(value);
  return w.take();
}

describe('Writer and Reader', () => {
  it('round-trip every kind in any order, however small the buffer was', () => {
    fc.assert(
      fc.property(fc.array(anyKind, { maxLength: 30 }), (kinds) => {
        const w = new Writer(1);
        for (const k of kinds) k.write(w);
        const written = w.length;
        const bytes = w.take();
        assert.equal(bytes.length, written);
        assert.equal(w.length, 0);
        for (const input of [plain(bytes), bytes]) {
          const r = new Reader(input);
          for (const k of kinds) {
            const value = k.read(r);
            assert.deepEqual(value instanceof Uint8Array ? plain(value) : value, k.value);
          }
          assert.equal(r.position, written);
          assert.equal(r.done, true);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('throw BytesError wherever the input ends early, and nothing else', () => {
    fc.assert(
      fc.property(fc.array(anyKind, { minLength: 1, maxLength: 6 }), fc.nat(), (kinds, at) => {
        const w = new Writer();
        for (const k of kinds) k.write(w);
        const bytes = w.take();
        fc.pre(bytes.length > 0);
        const r = new Reader(bytes, 0, at % bytes.length);
        assert.throws(() => {
          for (const k of kinds) k.read(r);
        }, BytesError);
      }),
      { numRuns: 500 },
    );
  });

  it('read only their range of a larger buffer', () => {
    const r = new Reader(Uint8Array.of(9, 1, 2, 9), 1, 3);
    assert.deepEqual([r.u8(), r.done, r.u8(), r.done], [1, false, 2, true]);
    assert.throws(() => r.u8(), BytesError);
  });

  it('keep varints at each boundary of a length in bytes, up to 2^53 − 1', () => {
    for (let bits = 7; bits <= 49; bits += 7) {
      assert.equal(varintBytes(2 ** bits - 1).length, bits / 7);
      assert.equal(varintBytes(2 ** bits).length, bits / 7 + 1);
      for (const value of [2 ** bits - 1, 2 ** bits])
        assert.equal(new Reader(varintBytes(value)).varint(), value);
    }
    const max = varintBytes(Number.MAX_SAFE_INTEGER);
    assert.equal(max.length, 8);
    assert.equal(new Reader(max).varint(), Number.MAX_SAFE_INTEGER);
  });

  it('refuse a varint beyond 2^53 − 1 or longer than eight bytes', () => {
    const beyond = Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10);
    const endless = new Uint8Array(9).fill(0x80);
    for (const bytes of [beyond, endless])
      assert.throws(() => new Reader(bytes).varint(), BytesError);
  });

  it('refuse a list that claims more items than bytes are left, before reserving room for it', () => {
    const w = new Writer();
    w.varint(Number.MAX_SAFE_INTEGER);
    w.u8(1);
    let read = 0;
    assert.throws(() => new Reader(w.take()).list(() => read++), BytesError);
    assert.equal(read, 0);
  });

  it('take() copies: the next record does not write into the one before', () => {
    const w = new Writer();
    w.str('first');
    const first = w.take();
    w.str('other');
    assert.equal(new Reader(first).str(), 'first');
    assert.equal(new Reader(w.peek()).str(), 'other');
    w.reset();
    assert.equal(w.length, 0);
  });
});

describe('crc32c', () => {
  it('is CRC-32C (Castagnoli): published check values', () => {
    assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
    // RFC 3720 §B.4
    assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
    assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
    assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
  });

  it('of a range is that of its bytes', () => {
    fc.assert(
      fc.property(octets, octets, octets, (before, bytes, after) => {
        const all = Buffer.concat([before, bytes, after]);
        assert.equal(crc32c(all, before.length, before.length + bytes.length), crc32c(bytes));
      }),
    );
  });
});
