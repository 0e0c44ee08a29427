import assert from 'node:assert/strict';
import { binaryFrame, FrameStripper } from '../src/load/web-frames.ts';
import { transportOf } from '../src/plan.ts';

/** A server's frame: as a client's, without a mask. */
function serverFrame(payload: Buffer, opcode = 2): Buffer {
  const masked = binaryFrame(payload);
  const headBytes = masked.length - payload.length - 4;
  const frame = Buffer.concat([masked.subarray(0, headBytes), payload]);
  frame[0] = 0x80 | opcode;
  frame[1]! &= 0x7f;
  return frame;
}

describe('WebSocket frames of the load generator', () => {
  it('are taken apart wherever they are cut, control frames left out', () => {
    const payloads = [1, 125, 126, 65_535, 65_536].map((bytes) => Buffer.alloc(bytes, bytes % 251));
    const sent = Buffer.concat([
      ...payloads.map((payload) => serverFrame(payload)),
      serverFrame(Buffer.from('ping'), 9),
      serverFrame(Buffer.from('end')),
    ]);
    const wanted = Buffer.concat([...payloads, Buffer.from('end')]);
    for (const size of [1, 2, 3, 7, 1000, 65_541, sent.length]) {
      const frames = new FrameStripper();
      const pieces: Buffer[] = [];
      for (let at = 0; at < sent.length; at += size)
        frames.push(sent.subarray(at, at + size), (bytes) => pieces.push(bytes));
      assert.ok(Buffer.concat(pieces).equals(wanted), `in pieces of ${size}`);
    }
  });

  it('are for scenarios whose name says so', () => {
    assert.equal(transportOf('pair-qos1'), 'tcp');
    assert.equal(transportOf('pair-qos1-ws'), 'ws');
    assert.equal(transportOf('connects-wss'), 'wss');
    assert.equal(transportOf('connects-tls'), 'tls');
  });
});
