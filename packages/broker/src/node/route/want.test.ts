import assert from 'node:assert/strict';
import type { Message } from '../../session/message.ts';
import { addWant, wantOf } from './want.ts';

const NO_BYTES = new Uint8Array();

function message(qos: 0 | 1 | 2, retain = false): Message {
  const head = { topic: 't', payload: NO_BYTES, properties: NO_BYTES, publisher: '' };
  return { ...head, qos, retain, hlc: 1, expiresAtMs: 0 };
}

function asked(qos: 0 | 1 | 2, identifier = 0, retainAsPublished = false) {
  return { qos, identifier, retainAsPublished };
}

describe('what overlapping subscriptions ask of a message', () => {
  it('is the highest QoS of them, and not more than it was published at [MQTT-3.3.4-2]', () => {
    const want = wantOf(asked(0), message(1));
    assert.equal(want.qos, 0);
    addWant(want, asked(2), message(1));
    assert.equal(want.qos, 1);
    addWant(want, asked(0), message(1));
    assert.equal(want.qos, 1);
  });

  it('is the Subscription Identifiers of all, each once [MQTT-3.3.4-4]', () => {
    const want = wantOf(asked(1, 7), message(1));
    for (const identifier of [0, 9, 7]) addWant(want, asked(0, identifier), message(1));
    assert.deepEqual(want.identifiers, [7, 9]);
    assert.deepEqual(wantOf(asked(1), message(1)).identifiers, []);
  });

  it('is RETAIN as published if one of them asks for that [MQTT-3.3.1-13]', () => {
    const want = wantOf(asked(1), message(1, true));
    assert.equal(want.retain, false);
    addWant(want, asked(1, 0, true), message(1, true));
    assert.equal(want.retain, true);
    addWant(want, asked(1), message(1, true));
    assert.equal(want.retain, true);
    assert.equal(wantOf(asked(1, 0, true), message(1, false)).retain, false);
  });
});
