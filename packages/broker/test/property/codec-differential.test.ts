import assert from 'node:assert/strict';
import { compare } from './codec-differential.ts';

const PACKETS = 200_000;

describe('the codec beside mqtt-packet', function () {
  this.timeout(120_000);

  it(`takes nothing else, and throws nothing but Reason Codes, in ${PACKETS} packets`, () => {
    const { taken, refused, stricter } = compare(20_260, PACKETS);
    // All kinds of outcome are there: the packets test something.
    assert.ok(taken > PACKETS / 20, `${taken} taken`);
    assert.ok(refused > PACKETS / 4, `${refused} refused`);
    assert.ok(stricter > PACKETS / 100, `${stricter} that mqtt-packet takes`);
  });
});
