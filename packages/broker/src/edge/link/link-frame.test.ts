import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeHello, encodeFrame, encodeHello, FrameReader, LINK_VERSION } from './link-frame.ts';

const drain = (reader: FrameReader): (string | undefined)[] => {
  const frames: (string | undefined)[] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
    if (frame === 'invalid') return [...frames, 'invalid'];
    frames.push(frame.toString('hex'));
  }
  return frames;
};

describe('FrameReader', () => {
  it('gives back the frames however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
        (frames, cuts) => {
          const stream = Buffer.concat(frames.flatMap(encodeFrame));
          const reader = new FrameReader(64);
          const seen: (string | undefined)[] = [];
          for (let at = 0, i = 0; at < stream.length; i++) {
            const end = at + cuts[i % cuts.length]!;
            reader.push(stream.subarray(at, end));
            seen.push(...drain(reader));
            at = end;
          }
          assert.deepEqual(
            seen,
            frames.map((frame) => Buffer.from(frame).toString('hex')),
          );
        },
      ),
    );
  });

  it('sends large frames as they are, behind their length', () => {
    const frame = Buffer.alloc(1_000_000, 7);
    const chunks = encodeFrame(frame);
    assert.equal(chunks[1], frame);
    const reader = new FrameReader(1_000_000);
    reader.push(Buffer.concat(chunks));
    assert.ok(frame.equals(reader.next() as Buffer));
  });

  it('refuses a length of zero and one beyond its bound', () => {
    for (const [length, expected] of [
      [0, 'invalid'],
      [65, 'invalid'],
      [64, undefined],
    ] as const) {
      const reader = new FrameReader(64);
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(length, 0);
      reader.push(bytes);
      assert.equal(reader.next(), expected);
    }
  });
});

describe('HELLO', () => {
  const anyHello = fc.record(
    {
      version: fc.constant(LINK_VERSION),
      clusterId: fc.string({ unit: 'grapheme', maxLength: 60 }),
      name: fc.string({ unit: 'grapheme', maxLength: 60 }),
      bootEpoch: fc.maxSafeNat(),
    },
    { noNullPrototype: true },
  );

  it('survives the wire, and a newer one with more at its end does, too', () => {
    fc.assert(
      fc.property(anyHello, fc.uint8Array(), (hello, more) => {
        assert.deepEqual(decodeHello(encodeHello(hello)), hello);
        assert.deepEqual(decodeHello(Buffer.concat([encodeHello(hello), more])), hello);
      }),
    );
  });

  it('cut short is none; of another version only the version counts', () => {
    const bytes = encodeHello({ version: LINK_VERSION, clusterId: 'c', name: 'n', bootEpoch: 1 });
    for (let length = 0; length < bytes.length; length++) {
      assert.equal(decodeHello(bytes.subarray(0, length)), undefined);
    }
    assert.equal(decodeHello(Buffer.of(9, 1, 2, 3))?.version, 9);
  });

  it('never throws on noise', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (noise) => {
        decodeHello(Buffer.from(noise));
      }),
    );
  });
});
