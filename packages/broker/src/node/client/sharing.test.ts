import assert from 'node:assert/strict';
import { MESSAGE as SAMPLE } from '../../../test/samples.ts';
import type { Message } from '../../session/message.ts';
import { type Give, Outcome } from '../link/given.ts';
import type { Client } from './parts.ts';
import { onSettled } from './sending.ts';
import { endShared } from './shared-window.ts';
import { GivenHere } from './sharing.ts';

const KEY = '$share/g/t';
const MESSAGE: Message = { ...SAMPLE, qos: 2 };

/** A member with a window of two, and what leaders n1 and n2 hear of what they give it. */
function setUp(window = 2) {
  const heard: string[] = [];
  let sent = 0;
  const socket = { pendingBytes: 0, awaitDrain: () => {} };
  const limits = { inflightMessages: window, nodeBufferBytes: 1e6, connectionBufferBytes: 1000 };
  const subscriptions = new Map([[KEY, { filter: KEY, qos: 2, identifier: 0 }]]);
  const c = {
    clientId: 'c',
    version: 5,
    isOpen: true,
    receiveMaximum: window,
    window,
    maximumPacketSize: 0,
    out: null,
    retained: null,
    sharing: null,
    rights: null,
    sentAliases: null,
    subscriptions,
    socket,
    port: { counters: { messagesDelivered: [0, 0, 0] }, limits, env: { wallMs: () => 1 } },
    write: () => sent++,
  } as unknown as Client;
  const here = new GivenHere();
  const names = Object.keys(Outcome);
  let token = 0;

  function give(o: Partial<Give> = {}, node = 'n1', to: Client | null = c): void {
    const index = ++token;
    const qos = o.qos ?? 1;
    const defaults: Give = {
      to: { node, bootEpoch: 1, connection: 1 },
      token: index,
      shard: 0,
      term: 5,
      generation: 0,
      group: KEY,
      qos,
      id: { shard: qos === 2 ? 16 : 0, index, low: 0 },
      message: MESSAGE,
    };
    here.give({ ...defaults, ...o }, to ?? undefined, {
      node,
      answer: (outcome) => heard.push(`${node} ${index} ${names[outcome]}`),
      free: (generation, room) => heard.push(`${node} free ${generation}: ${room}`),
    });
  }
  return { c, give, heard, subscriptions, sent: () => sent };
}

describe('a message that a connection is given as the member of a group', () => {
  it('is done with the acknowledgement of its client, or goes back when the connection ends', () => {
    const { c, give, heard } = setUp();
    give();
    give({ qos: 2 });
    assert.deepEqual(heard, []);
    onSettled(c, 1, 1);
    assert.deepEqual(heard, ['n1 1 Done']);
    give();
    endShared(c);
    assert.deepEqual(heard.slice(1), ['n1 2 Ended', 'n1 3 Gone']);
  });

  it('is refused by a connection that is no member, or none at all', () => {
    const { give, heard, subscriptions } = setUp();
    give({}, 'n1', null);
    subscriptions.clear();
    give();
    assert.deepEqual(heard, ['n1 1 Gone', 'n1 2 Gone']);
  });

  it('of QoS 2 that went out at QoS 1 goes back when the connection ends, whichever leader asks', () => {
    const { c, give, heard, subscriptions } = setUp(3);
    subscriptions.set(KEY, { filter: KEY, qos: 1, identifier: 0 });
    const [lost, asked, done] = [50, 51, 52].map((index) => ({ shard: 16, index, low: 0 }));
    for (const id of [lost, asked, done]) give({ qos: 2, id: id! });
    onSettled(c, 3, 1);
    give({ qos: 2, id: asked!, term: 6 }, 'n2');
    endShared(c);
    assert.deepEqual(heard.splice(0), ['n1 3 Done', 'n1 1 Gone', 'n2 4 Gone']);
    for (const id of [lost, asked, done]) give({ qos: 2, id: id!, term: 7 }, 'n2', null);
    assert.deepEqual(heard, ['n2 5 Gone', 'n2 6 Gone', 'n2 7 Done']);
  });

  it('of QoS 2 that was refused once is refused for good, and taken once is not taken again', () => {
    const { c, give, heard, subscriptions, sent } = setUp();
    const refused = { shard: 16, index: 40, low: 0 };
    const taken = { shard: 16, index: 41, low: 0 };
    subscriptions.clear();
    give({ qos: 2, id: refused });
    subscriptions.set(KEY, { filter: KEY, qos: 2, identifier: 0 });
    give({ qos: 2, id: refused });
    give({ qos: 2, id: taken });
    give({ qos: 2, id: taken, term: 6 }, 'n2');
    const frames = sent();
    endShared(c);
    give({ qos: 2, id: taken, term: 6 }, 'n2', { ...c, out: null, isOpen: false } as Client);
    assert.equal(sent(), frames);
    assert.deepEqual(heard, ['n1 1 Gone', 'n1 2 Gone', 'n2 4 Ended', 'n2 5 Done']);
  });

  it('is answered to the leader that asked last, and never to one that was deposed before', () => {
    const { c, give, heard, sent } = setUp();
    const id = { shard: 0, index: 40, low: 0 };
    give({ id, term: 5 }, 'n1');
    give({ id, term: 6 }, 'n2');
    give({ id, term: 5 }, 'n1');
    onSettled(c, 1, 1);
    assert.deepEqual(heard, ['n2 2 Done']);
    assert.equal(sent(), 1);
  });

  it('finds no room beyond the window, and nothing that its leader sent after it does, until told', () => {
    const { c, give, heard } = setUp();
    for (let i = 0; i < 4; i++) give();
    assert.deepEqual(heard.splice(0), ['n1 3 Busy', 'n1 4 Busy']);
    onSettled(c, 1, 1);
    assert.deepEqual(heard.splice(0), ['n1 1 Done', 'n1 free 1: 1']);
    // Under way before that was heard.
    give();
    assert.deepEqual(heard.splice(0), ['n1 5 Busy', 'n1 free 1: 1']);
    give({ generation: 1 });
    give({ generation: 1 });
    assert.deepEqual(heard, ['n1 7 Busy']);
  });

  it('has its room shared out among the leaders that wait for it, once half of the window is free', () => {
    const { c, give, heard } = setUp(8);
    for (let i = 0; i < 8; i++) give();
    give({}, 'n1');
    give({}, 'n2');
    heard.length = 0;
    for (let id = 1; id <= 3; id++) onSettled(c, id, 1);
    assert.deepEqual(heard.splice(0), ['n1 1 Done', 'n1 2 Done', 'n1 3 Done']);
    onSettled(c, 4, 1);
    assert.deepEqual(heard, ['n1 4 Done', 'n1 free 1: 2', 'n2 free 1: 2']);
  });

  it('leaves alone the Packet Identifiers of messages that an earlier connection may have been sent', () => {
    const { c, give, heard } = setUp();
    give({}, 'n1');
    c.out!.keep(1, 300);
    give({}, 'n1');
    assert.deepEqual([...c.out!.inFlight.keys()], [1, 301]);
    assert.deepEqual(heard, []);
  });
});
