import assert from 'node:assert/strict';
import { connackReturnCode, ReasonCode, reasonName } from './reason-code.ts';

describe('Reason Codes', () => {
  it('have the names of MQTT 5 §2.4', () => {
    assert.equal(reasonName(0x8e), 'Session taken over');
    assert.equal(reasonName(0x9b), 'QoS not supported');
    assert.equal(reasonName(0x01), 'Granted QoS 1');
    assert.equal(reasonName(0x05), '0x05');
  });

  it('are unique but for none', () => {
    const codes = Object.values(ReasonCode);
    assert.equal(new Set(codes).size, codes.length);
  });

  it('map to a return code of 3.1.1 only where that has one', () => {
    assert.equal(connackReturnCode(ReasonCode.Success), 0);
    assert.equal(connackReturnCode(ReasonCode.MalformedPacket), undefined);
    for (const code of Object.values(ReasonCode)) {
      const returned = connackReturnCode(code);
      assert.ok(returned === undefined || (returned >= 0 && returned <= 5));
    }
  });
});
