import assert from 'node:assert/strict';
import { SWIM_PRESETS, type SwimPreset, swimConfig } from './config.ts';
import { SWIM_ERRORS, SwimError } from './errors.ts';

describe('swimConfig', () => {
  for (const preset of Object.keys(SWIM_PRESETS) as SwimPreset[]) {
    it(`accepts its own preset ${preset}, frozen`, () => {
      const config = swimConfig({}, preset);
      assert.ok(Object.isFrozen(config));
      assert.ok(config.probeTimeoutMs * 2 <= config.protocolPeriodMs);
    });
  }

  it('lets single fields override the preset', () => {
    const config = swimConfig({ gossipFanout: 5 }, 'wan');
    assert.equal(config.gossipFanout, 5);
    assert.equal(config.protocolPeriodMs, SWIM_PRESETS.wan.protocolPeriodMs);
  });

  const refused: [what: string, input: Record<string, unknown>, reason: RegExp][] = [
    ['an unknown key', { protocolPeriod: 5 }, /protocolPeriod/],
    ['a wrong type', { protocolPeriodMs: '5' }, /protocolPeriodMs/],
    ['out of range', { gossipFanout: 0 }, /gossipFanout/],
    ['a timeout that leaves helpers no time', { probeTimeoutMs: 300 }, /probeTimeoutMs.*half/],
    ['a low watermark above the high one', { cutLow: 4 }, /cutLow.*cutHigh/],
    [
      'a longest hold above that of most',
      { cutHoldMaxMs: 60_000 },
      /cutHoldMaxMs.*cutMassHoldMaxMs/,
    ],
    ['a quiet time above its bound', { flapQuietMaxMs: 1_000 }, /flapQuietMs.*flapQuietMaxMs/],
  ];
  for (const [what, input, reason] of refused) {
    it(`refuses ${what} with its path`, () => {
      assert.throws(
        () => swimConfig(input),
        (error: SwimError) => error.code === 'SWIM_ERR_CONFIG' && reason.test(error.message),
      );
    });
  }
});

describe('SwimError', () => {
  it('has a message and a remedy for every code', () => {
    for (const [code, { message, remedy }] of Object.entries(SWIM_ERRORS)) {
      assert.match(code, /^SWIM_ERR_[A-Z_]+$/);
      assert.match(message, /\.$/);
      assert.match(remedy, /\.$/);
    }
    const cause = new Error('why');
    const error = new SwimError('SWIM_ERR_BUSY', 'Detail.', { cause });
    assert.equal(error.cause, cause);
    assert.match(error.message, /Detail\.$/);
  });
});
