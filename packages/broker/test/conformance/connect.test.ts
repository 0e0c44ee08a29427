import assert from 'node:assert/strict';
import { codes, everyWay, field, packet, publishes, seen } from './world.ts';

const will = (o: object = {}) => ({
  topic: 'w',
  payload: Buffer.from('gone'),
  qos: 0 as const,
  retain: false,
  ...o,
});

everyWay('CONNECT', (make, version) => {
  const good = () => make().head(2);

  it('[MQTT-3.1.0-1] [MQTT-3.1.0-1 of 3.1.1] comes first', () => {
    const w = make();
    for (const bytes of [packet(0xc0), packet(0x30, field('t'), w.none)]) {
      const socket = w.raw(bytes);
      assert.deepEqual(socket.take(), []);
      assert.ok(socket.closed);
    }
  });

  it('[MQTT-3.1.0-2, 4.13.1-1] [MQTT-3.1.0-2, 4.8.0-1 of 3.1.1] comes once', () => {
    make().ends(packet(0x10, good(), field('c')), 0x82, 'second CONNECT');
  });

  it('[MQTT-3.1.2-1, 3.1.2-2] [MQTT-3.1.2-1, 3.1.2-2 of 3.1.1] of another protocol is refused', () => {
    const w = make();
    for (const [name, level] of [
      ['MQTX', version],
      ['mqtt', version],
      ['MQTT', 2],
      ['MQIsdp', version],
    ] as const) {
      // Told in the version of its client, or in 3.1.1.
      const socket = w.nodes.accept(w.node, 4);
      w.send(socket, packet(0x10, field(name), [level, 2, 0, 0], w.none, field('c')));
      assert.ok(socket.closed, name);
      const [connack, ...more] = socket.take();
      assert.deepEqual(more, []);
      assert.ok(connack?.cmd === 'connack' && connack.returnCode === 1, name);
    }
  });

  it('[MQTT-3.1.2-3, 3.1.4-1] [MQTT-3.1.2-3, 3.1.4-1 of 3.1.1] has a reserved flag of 0', () => {
    const w = make();
    w.refused(packet(0x10, w.head(3), field('c')), 0x81, undefined, 'reserved flag');
  });

  it('[MQTT-3.1.2-9, 3.1.2-11, 3.1.2-12, 3.1.2-13] [MQTT-3.1.2-9, 3.1.2-11, 3.1.2-13, 3.1.2-14, 3.1.2-15 of 3.1.1] has the Will that its flags say', () => {
    const w = make();
    const id = field('c');
    const all = [...w.none, ...field('w'), ...field('x')];
    for (const [flags, rest] of [
      [0x06, []],
      [0x06, [...w.none, ...field('w')]],
      [0x0a, []],
      [0x12, []],
      [0x22, []],
      [0x1e, all],
      [0x02, all],
    ] as const)
      w.refused(packet(0x10, w.head(flags), id, rest), 0x81, undefined, `flags ${flags}`);
    for (const flags of [0x06, 0x0e, 0x16, 0x26]) {
      const socket = w.raw(packet(0x10, w.head(flags), id, all));
      assert.deepEqual(codes(socket), [['connack', 0]]);
    }
  });

  it('[MQTT-3.1.2-16, 3.1.2-17, 3.1.2-18, 3.1.2-19, 3.1.3-1] [MQTT-3.1.2-18, 3.1.2-19, 3.1.2-20, 3.1.2-21, 3.1.3-1 of 3.1.1] has the names that its flags say, in order', () => {
    const w = make();
    const [id, name, password] = [field('c'), field('u'), field('p')];
    for (const [flags, ...parts] of [
      [0x82, id],
      [0x02, id, name],
      [0xc2, id, name],
      [0x82, id, name, password],
    ] as const)
      w.refused(packet(0x10, w.head(flags), ...parts), 0x81, undefined, `flags ${flags}`);
    const whole = w.raw(
      packet(0x10, w.head(0xc6), id, w.none, field('w'), field('x'), name, password),
    );
    assert.deepEqual(codes(whole), [['connack', 0]]);
    assert.equal(w.connections, 1);
  });

  it('[MQTT-3.1.2-22 of 3.1.1] has no Password without User Name', () => {
    const w = make();
    const bytes = packet(0x10, w.head(0x42), field('c'), field('p'));
    if (version === 4) w.refused(bytes, 0, undefined, 'password alone');
    else assert.deepEqual(codes(w.raw(bytes)), [['connack', 0]]);
  });

  it('[MQTT-3.1.3-3] [MQTT-3.1.3-3 of 3.1.1] has a Client Identifier', () => {
    const w = make();
    w.refused(packet(0x10, w.head(2)), 0x81, undefined, 'nothing');
  });

  it('[MQTT-3.1.3-4, 3.1.3-11, 3.1.3-12] [MQTT-3.1.3-4, 3.1.3-10, 3.1.3-11 of 3.1.1] has strings of UTF-8', () => {
    const w = make();
    for (const bad of [
      [0xc0, 0x80],
      [0xed, 0xa0, 0x80],
      [0x61, 0],
    ]) {
      const text = field(Buffer.from(bad));
      const id = field('c');
      for (const parts of [
        [w.head(2), text],
        [w.head(6), id, w.none, text, field('x')],
        [w.head(0x82), id, text],
      ])
        w.refused(packet(0x10, ...parts), 0x81, undefined, String(bad));
    }
  });

  it('[MQTT-3.1.3-5] [MQTT-3.1.3-5 of 3.1.1] may have a Client Identifier of 1 to 23 letters and digits, and longer', () => {
    const letters = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
    const w = make();
    for (const id of ['a', letters.slice(0, 23), letters.slice(-23), letters, 'é ü/+#'])
      w.connect(id);
  });

  it('[MQTT-3.1.3-6, 3.1.3-7] [MQTT-3.1.3-6, 3.1.3-7 of 3.1.1] without one is assigned one', () => {
    const w = make();
    const [one, other] = [w.begin(''), w.begin('')];
    for (const socket of [one, other]) {
      const [connack] = socket.take();
      assert.ok(connack?.cmd === 'connack' && connack.returnCode !== 2);
      assert.equal(socket.closed, false);
      if (version === 5) assert.ok(connack.properties?.assignedClientIdentifier);
    }
  });

  it('[MQTT-3.1.3-8] [MQTT-3.1.3-8, 3.1.3-9, 3.2.2-5 of 3.1.1] whose Client Identifier is not valid is refused', () => {
    const w = make({ limits: { clientIdBytes: 23 } });
    w.refused(packet(0x10, w.head(2), field('x'.repeat(24))), 0x85, 2, 'long');
    if (version === 4) w.refused(packet(0x10, w.head(0), field('')), 0, 2, 'kept session');
  });

  it('[MQTT-3.1.4-2, 3.2.2-6, 3.2.2-7, 3.2.2-8, 4.13.2-1] [MQTT-3.2.2-4, 3.2.2-6 of 3.1.1] that fails a check is refused, and closed', () => {
    const w = make();
    w.connect('c', w.stored).end();
    const socket = w.begin('c', { ...w.stored, will: will({ topic: '$SYS/x' }) });
    const [connack] = socket.take();
    assert.ok(connack?.cmd === 'connack');
    assert.equal(connack.sessionPresent, false);
    assert.equal(connack.reasonCode ?? connack.returnCode, version === 5 ? 0x87 : 5);
    assert.ok(socket.closed);
    w.refused(
      packet(0x10, w.head(6), field('c'), w.none, field('#'), field('')),
      0x90,
      undefined,
      '#',
    );
  });

  it('[MQTT-3.1.4-6, 3.14.0-1] [MQTT-3.1.4-5 of 3.1.1] that is refused takes what came behind it along', () => {
    const w = make();
    const observer = w.connect('o');
    w.subscribe(observer, { '#': {} });
    const bytes = packet(0x10, w.head(6), field('c'), w.none, field('$SYS'), field(''));
    const socket = w.raw(bytes, packet(0x30, field('t'), w.none), packet(0xc0));
    assert.deepEqual(codes(socket), [['connack', version === 5 ? 0x87 : 5]]);
    assert.deepEqual(observer.take(), []);
  });

  it('[MQTT-3.1.4-5, 3.2.0-1, 3.2.0-2] [MQTT-3.1.4-4, 3.2.0-1 of 3.1.1] is answered once, before anything else', () => {
    const w = make();
    const bytes = [packet(0x10, w.head(2), field('c')), packet(0xc0), packet(0xc0)];
    assert.deepEqual(
      w
        .raw(...bytes)
        .take()
        .map(({ cmd }) => cmd),
      ['connack', 'pingresp', 'pingresp'],
    );
  });

  it('[MQTT-3.2.2-1] [MQTT-3.2.2-3 of 3.1.1] is answered with reserved bits of 0', () => {
    const w = make();
    const written: number[] = [];
    const socket = w.nodes.accept(w.node, version);
    const write = socket.write.bind(socket);
    socket.write = (bytes) => {
      written.push(...bytes);
      write(bytes);
    };
    w.send(socket, packet(0x10, w.head(2), field('c')));
    assert.equal(written[0], 0x20);
    assert.equal(written[2], 0);
  });

  it('[MQTT-3.1.4-3] [MQTT-3.1.4-2 of 3.1.1] closes the older connection of its Client Identifier', () => {
    const w = make();
    const older = w.connect();
    w.connect();
    assert.deepEqual(codes(older), version === 5 ? [['disconnect', 0x8e]] : []);
    assert.ok(older.closed);
  });

  it('[MQTT-4.12.0-1, 4.12.0-6] with an Authentication Method is refused with 0x8C, and without gets none', () => {
    if (version === 4) return;
    const w = make();
    const socket = w.begin('c', { properties: { authenticationMethod: 'm' } });
    assert.deepEqual(codes(socket), [['connack', 0x8c]]);
    assert.ok(socket.closed);
    const [connack] = w.begin().take();
    assert.ok(connack?.cmd === 'connack');
    assert.equal(connack.properties?.authenticationMethod, undefined);
  });
});

everyWay('sessions', (make, version) => {
  const presentOf = (socket: ReturnType<ReturnType<typeof make>['begin']>) => {
    const connack = socket.packets.shift();
    assert.ok(connack?.cmd === 'connack');
    return connack.sessionPresent;
  };

  it('[MQTT-3.1.2-4, 3.1.4-4, 3.2.2-2] [MQTT-3.1.2-6, 3.1.4-3, 3.2.2-1 of 3.1.1] end with Clean Start', () => {
    const w = make();
    w.subscribe(w.connect('c', w.stored), { t: { qos: 1 } });
    const fresh = w.begin('c', { ...w.stored, clean: true });
    assert.equal(presentOf(fresh), false);
    w.connect('p').publish('t');
    assert.deepEqual(seen(fresh), []);
  });

  it('[MQTT-3.1.2-5, 3.1.2-6, 3.1.2-23, 3.1.3-2, 3.2.2-3, 4.1.0-1, 4.5.0-1] [MQTT-3.1.2-4, 3.1.2-5, 3.1.3-2, 3.2.2-2, 4.1.0-1, 4.1.0-2, 4.5.0-1 of 3.1.1] are resumed without it', () => {
    const w = make();
    const first = w.begin('c', w.stored);
    assert.equal(presentOf(first), false);
    w.subscribe(first, { t: { qos: 2 } });
    first.end();
    w.nodes.settle();
    const publisher = w.connect('p');
    publisher.publish('t', { qos: 1, id: 1, payload: 'one' });
    publisher.publish('t', { qos: 2, id: 2, payload: 'two' });
    const again = w.begin('c', w.stored);
    assert.equal(presentOf(again), true);
    assert.deepEqual(seen(again), ['t one 1', 't two 2']);
    assert.equal(presentOf(w.begin('d', w.stored)), false);
  });

  it('[MQTT-4.1.0-2] end with their expiry', () => {
    if (version === 4) return;
    const w = make();
    const session = { clean: false, properties: { sessionExpiryInterval: 2 } };
    w.connect('c', session).end();
    w.nodes.advance(1000);
    const within = w.begin('c', session);
    assert.equal(presentOf(within), true);
    within.end();
    w.nodes.advance(10_000);
    assert.equal(presentOf(w.begin('c', session)), false);
  });

  it('[MQTT-3.2.2-22] [MQTT-3.1.2-24 of 3.1.1] are closed after one and a half Keep Alive of silence', () => {
    const w = make();
    const socket = w.connect('c', { keepalive: 10 });
    for (let s = 0; s < 15; s++) {
      w.nodes.advance(1000);
      socket.handler.onSecond(w.nodes.nowMs);
    }
    assert.equal(socket.closed, false);
    w.nodes.advance(1000);
    socket.handler.onSecond(w.nodes.nowMs);
    assert.ok(socket.closed);
  });
});

everyWay('Wills', (make, version) => {
  it('[MQTT-3.1.2-7, 3.1.2-8, 3.1.2-10, 3.1.2-14] [MQTT-3.1.2-8, 3.1.2-10, 3.1.2-16 of 3.1.1] are published once the connection is lost', () => {
    const w = make();
    const observer = w.connect('o');
    w.subscribe(observer, { w: {} });
    w.connect('c', { will: will() }).end();
    w.nodes.advance(2000);
    assert.deepEqual(seen(observer), ['w gone 0']);
    w.connect('c').end();
    w.nodes.advance(2000);
    w.subscribe(observer, { w: {} });
    assert.deepEqual(seen(observer), []);
  });

  it('[MQTT-3.1.2-15] [MQTT-3.1.2-17 of 3.1.1] are retained with Will Retain', () => {
    const w = make();
    w.connect('c', { will: will({ retain: true }) }).end();
    w.nodes.advance(2000);
    const observer = w.connect('o');
    w.subscribe(observer, { w: {} });
    assert.deepEqual(seen(observer), ['w gone 0 retained']);
  });

  it('[MQTT-3.14.4-3] [MQTT-3.1.2-12, 3.14.4-3 of 3.1.1] are discarded at DISCONNECT, and not there without their flag', () => {
    const w = make();
    const observer = w.connect('o');
    w.subscribe(observer, { '#': {} });
    w.send(w.connect('c', { will: will() }), packet(0xe0));
    w.connect('d').end();
    w.nodes.advance(2000);
    assert.deepEqual(seen(observer), []);
  });

  it('[MQTT-3.1.3-9] wait for their delay, and are not sent if the client is back', () => {
    if (version === 4) return;
    const w = make();
    const observer = w.connect('o');
    w.subscribe(observer, { w: {} });
    const session = {
      ...w.stored,
      will: will({ properties: { willDelayInterval: 5 } }),
    };
    w.connect('c', session).end();
    w.nodes.advance(3000);
    const back = w.connect('c', w.stored);
    w.nodes.advance(10_000);
    assert.deepEqual(publishes(observer), []);
    back.end();
    w.connect('d', session).end();
    w.nodes.advance(8000);
    assert.equal(publishes(observer).length, 1);
  });
});
