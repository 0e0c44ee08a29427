import assert from 'node:assert/strict';
import type { Message } from '../../session/message.ts';
import type { Logged } from '../../session/operation.ts';
import type { Recipient } from '../../session/recipient.ts';
import { FanOut } from './fan-out.ts';

const message: Message = {
  topic: 't',
  payload: new Uint8Array(3),
  qos: 1,
  retain: false,
  hlc: 1,
  expiresAtMs: 0,
  properties: new Uint8Array(0),
  publisher: 'p',
};

/** An entry for `n` sessions; `looked` counts how often a recipient was looked at. */
function entryFor(n: number): { logged: Logged; looked: () => number } {
  let looked = 0;
  const recipients = Array.from({ length: n }, (_, i) => ({
    clientId: `c${i}`,
    get birth() {
      looked++;
      return i;
    },
    qos: 1,
    retain: false,
    identifiers: [],
  })) as Recipient[];
  const operation = { type: 'enq', rx2: null, message, recipients, retained: false } as const;
  return { logged: { operation, origin: null }, looked: () => looked };
}

describe('fan-out', () => {
  it('finds the recipients of a message for n sessions with work of order n', () => {
    const n = 2000;
    const fanOut = new FanOut();
    const { logged, looked } = entryFor(n);
    for (let i = 0; i < n; i++) assert.equal(fanOut.recipient(logged, i)?.clientId, `c${i}`);
    assert.equal(fanOut.recipient(logged, n), undefined);
    assert.ok(looked() <= 2 * n, `${looked()} looks`);
  });

  it('finds the recipient among few', () => {
    const fanOut = new FanOut();
    const { logged } = entryFor(3);
    assert.equal(fanOut.recipient(logged, 2)?.clientId, 'c2');
    assert.equal(fanOut.recipient(logged, 3), undefined);
  });

  it('keeps entries for many, as long as the shard has the same leader', () => {
    const fanOut = new FanOut();
    const { logged } = entryFor(100);
    fanOut.keep(7, logged);
    fanOut.keep(8, entryFor(2).logged);
    assert.equal(fanOut.kept(7), logged);
    assert.equal(fanOut.kept(8), undefined);
    fanOut.clear();
    assert.equal(fanOut.kept(7), undefined);
  });
});
