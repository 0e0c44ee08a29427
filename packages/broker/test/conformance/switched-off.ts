/** Statements of MQTT 5.0, drawn by a seed: each is switched off by a change that its test must notice. */

/** Gives the draw: `drawn(SEED, COUNT)`. */
export const SEED = 14;
export const COUNT = 20;

export interface SwitchedOff {
  readonly number: string;
  /** From packages/broker/src. */
  readonly file: string;
  /** Text that occurs once in the file, and what stands there instead. */
  readonly from: string;
  readonly to: string;
  /** From packages/broker: the file with the test that cites the number and fails. */
  readonly test: string;
}

const CONNECT = 'test/conformance/connect.test.ts';
const PUBLISH = 'test/conformance/publish.test.ts';
const DELIVERY = 'test/conformance/delivery.test.ts';
const SUBSCRIBE = 'test/conformance/subscribe.test.ts';

export const SWITCHED_OFF: readonly SwitchedOff[] = [
  {
    number: '1.5.4-3',
    file: 'mqtt/codec-reader.ts',
    from: 'ignoreBOM: true',
    to: 'ignoreBOM: false',
    test: PUBLISH,
  },
  {
    number: '3.1.2-27',
    file: 'node/client/connect.ts',
    from: 'return most === 0 ? null : new SentAliases(most, c.port.counters);',
    to: 'return new SentAliases(Math.max(most, 1), c.port.counters);',
    test: DELIVERY,
  },
  {
    number: '4.3.3-7',
    file: 'node/client/sending.ts',
    from: 'return !d.dup && hasExpired(c, d.message);',
    to: 'return hasExpired(c, d.message);',
    test: 'src/node/client/sending.test.ts',
  },
  {
    number: '3.4.2-1',
    file: 'node/route/router.ts',
    from: 'publisher.published(ReasonCode.NoMatchingSubscribers)',
    to: 'publisher.published(ReasonCode.NoSubscriptionExisted)',
    test: PUBLISH,
  },
  {
    number: '3.9.3-1',
    file: 'node/client/subscribing.ts',
    from: 'this.#codes.push(',
    to: 'this.#codes.unshift(',
    test: SUBSCRIBE,
  },
  {
    number: '2.2.1-2',
    file: 'mqtt/frame-publish.ts',
    from: 'if (qos > 0) {',
    to: 'if (qos >= 0) {',
    test: PUBLISH,
  },
  {
    number: '3.2.2-1',
    file: 'mqtt/codec-encode.ts',
    from: 'const flags = sessionPresent && o.version === 4 ? 1 : 0;',
    to: 'const flags = sessionPresent && o.version === 4 ? 3 : 2;',
    test: CONNECT,
  },
  {
    number: '3.10.4-6',
    file: 'node/client/subscribing.ts',
    from: 'const filter = packet.filters[i]!;',
    to: 'const filter = packet.filters[0]!;',
    test: SUBSCRIBE,
  },
  {
    number: '3.10.4-5',
    file: 'node/client/subscribing.ts',
    from: 'answer(c, encodeUnsuback({ version, packetId: packet.packetId, reasonCodes: codes }));',
    to: 'if (codes.some((code) => code === 0)) answer(c, encodeUnsuback({ version, packetId: packet.packetId, reasonCodes: codes }));',
    test: SUBSCRIBE,
  },
  {
    number: '3.8.4-1',
    file: 'node/client/subscribing.ts',
    from: 'answer(this.#c, encodeSuback({ version, packetId, reasonCodes: this.#codes }));',
    to: 'void [version, packetId];',
    test: SUBSCRIBE,
  },
  {
    number: '3.2.2-22',
    file: 'node/client/connect.ts',
    from: 'if (protocolVersion < 5 || serverKeepAlive === 0) return keepAliveSeconds;',
    to: 'if (protocolVersion < 5 || serverKeepAlive === 0) return 0;',
    test: CONNECT,
  },
  {
    number: '3.1.3-5',
    file: 'node/client/connect.ts',
    from: 'isLonger(connect.clientId, options.clientIdBytes)',
    to: 'isLonger(connect.clientId, 22)',
    test: CONNECT,
  },
  {
    number: '3.3.2-14',
    file: 'mqtt/codec-property.ts',
    from: '/[#+]/',
    to: '/[+]/',
    test: PUBLISH,
  },
  {
    number: '4.3.3-5',
    file: 'session/operation/queue.ts',
    from: 's.pubrecs.add(item.position);',
    to: '',
    test: 'test/session/shard-state.test.ts',
  },
  {
    number: '4.12.0-1',
    file: 'node/client/connect.ts',
    from: 'if (connect.properties.authenticationMethod !== undefined)',
    to: 'if (connect.properties.authenticationMethod === null)',
    test: CONNECT,
  },
  {
    number: '4.3.3-8',
    file: 'node/client/incoming.ts',
    from: 'answerInOrder(c, slot, encodeAck(PacketType.Pubrec, packetId, c.version, code))',
    to: 'answerInOrder(c, slot, encodeAck(PacketType.Puback, packetId, c.version, code))',
    test: PUBLISH,
  },
  {
    number: '3.1.0-1',
    file: 'node/client/connection.ts',
    from: 'return this.#end(true); // [MQTT-3.1.0-1]',
    to: 'return;',
    test: CONNECT,
  },
  {
    number: '3.3.2-6',
    file: 'node/client/send-window.ts',
    from: 'Math.ceil((message.expiresAtMs - wallMs) / 1000)',
    to: '60',
    test: DELIVERY,
  },
  {
    number: '3.2.2-12',
    file: 'node/client/connect.ts',
    from: 'if (will.qos > options.maximumQos) return ReasonCode.QoSNotSupported;',
    to: '',
    test: 'test/node/server-options.test.ts',
  },
  {
    number: '3.1.4-4',
    file: 'node/client/connect.ts',
    from: 'const { cleanStart } = connect;',
    to: 'const cleanStart = false;',
    test: CONNECT,
  },
];
