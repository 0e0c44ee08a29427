/** MQTT 3.1, as its clients use it. */
import assert from 'node:assert/strict';
import { codes, field, packet, publishes, WAYS, World, wordsFor } from './world.ts';

for (const way of WAYS)
  describe(`MQTT 3.1${wordsFor(way)}`, () => {
    const make = () => new World(4, way);
    const connect = (clientId: string, flags = 2) =>
      packet(0x10, field('MQIsdp'), [3, flags, 0, 0], field(clientId));

    it('has Client Identifiers up to 23 characters and longer, and no empty ones', () => {
      const w = make();
      for (const id of ['a', 'x'.repeat(23), 'x'.repeat(24), 'x'.repeat(200)])
        assert.deepEqual(codes(w.raw(connect(id))), [['connack', 0]]);
      const empty = w.raw(connect(''));
      assert.deepEqual(codes(empty), [['connack', 2]]);
      assert.ok(empty.closed);
    });

    it('may set DUP in SUBSCRIBE, UNSUBSCRIBE and PUBREL that are sent again', () => {
      const w = make();
      const socket = w.raw(connect('c'));
      socket.take();
      w.send(socket, packet(0x8a, [0, 1], field('t'), [1]), packet(0xaa, [0, 2], field('t')));
      w.send(socket, packet(0x34, field('t'), [0, 3]), packet(0x6a, [0, 3]));
      // SUBACK waits for other nodes, UNSUBACK does not; the subscription has ended all the same.
      assert.deepEqual(
        socket
          .take()
          .map(({ cmd }) => cmd)
          .sort(),
        ['pubcomp', 'pubrec', 'suback', 'unsuback'],
      );
      assert.equal(socket.closed, false);
    });

    it('gets 0x80 for a filter that is refused, which reads as QoS 0 where only its bits count', () => {
      const w = new World(4, way, { limits: { topicLevels: 2 } });
      const socket = w.raw(connect('c'));
      socket.take();
      w.send(socket, packet(0x82, [0, 1], field('a/b/c'), [2], field('t'), [1]));
      const [suback] = socket.take();
      assert.deepEqual(suback?.cmd === 'suback' && suback.granted, [0x80, 1]);
    });

    it('gets what MQTT 5 publishes, and the other way', () => {
      const w = make();
      const socket = w.raw(connect('c'));
      w.send(socket, packet(0x82, [0, 1], field('t'), [1]));
      const five = w.nodes.connect(w.node, { clientId: 'five' }).subscribe(['u'], 1);
      five.take();
      socket.take();
      const properties = { contentType: 'x', userProperties: { a: 'b' } };
      five.send({
        cmd: 'publish',
        topic: 't',
        payload: 'p',
        qos: 1,
        messageId: 1,
        retain: false,
        dup: false,
        properties,
      });
      w.send(socket, packet(0x32, field('u'), [0, 9], [0x71]));
      assert.equal(String(publishes(socket)[0]!.payload), 'p');
      const [got] = publishes(five);
      assert.equal(String(got!.payload), 'q');
      assert.equal(got!.properties, undefined);
    });
  });
