/** What a node does with bytes of a peer that it does not know: it refuses them by name, and goes on. */
import assert from 'node:assert/strict';
import { fixtureOf } from '../../../swim/test/fixture.ts';
import { BytesError, Writer } from '../../src/bytes.ts';
import { Inbox, Lane } from '../../src/node/link/lanes.ts';
import { LinkMessage } from '../../src/node/link/link-message.ts';
import { Wire } from '../../src/node/link/wire.ts';
import { TestNodes } from './nodes.ts';

const MESSAGES = new URL('../fixtures/v1/link-messages.hex', import.meta.url);

function written(write: (w: Writer) => void): Uint8Array {
  const w = new Writer();
  write(w);
  return w.take();
}

/** A frame with the clock and one message. */
function frame(bytes: Uint8Array): Uint8Array {
  return written((w) => {
    w.u8(Lane.Bulk);
    w.f64(1);
    w.raw(bytes);
  });
}

describe('messages between nodes that are not known', () => {
  const refused: [string, RegExp, Uint8Array][] = [
    ['a message of an unknown kind', /message of unknown kind 255$/, Uint8Array.of(255)],
    ['a message of kind 0', /message of unknown kind 0$/, Uint8Array.of(0)],
    ['a shard message of an unknown type', /type 22$/, Uint8Array.of(Wire.Shard, 0, 22)],
    [
      'a view of a later version',
      /view record of format 2,/,
      // The type `record`, and a view's first byte.
      Uint8Array.of(Wire.Shard, 0, 6, 2),
    ],
    ['settings of a later version', /settings of format 2,/, Uint8Array.of(Wire.Hello, 1, 2)],
    [
      'a request of an unknown type',
      /request of unknown type 7$/,
      Uint8Array.of(Wire.Request, 0, 1, 0, 7),
    ],
    [
      'an operation of an unknown type',
      /operation of unknown type 22$/,
      Uint8Array.of(Wire.Request, 0, 1, 0, 0, 22),
    ],
    [
      'an acknowledgement of an unknown kind',
      /acknowledgement of unknown kind 7$/,
      Uint8Array.of(Wire.Request, 0, 1, 0, 0, 6, 0, 1, 1, 97, 1, 7, 1),
    ],
    ['a reply of an unknown status', /unknown status 9$/, Uint8Array.of(Wire.Reply, 0, 1, 9)],
    ['flags of routes', /change of a route with flags 64$/, Uint8Array.of(Wire.Routes, 1, 1, 64)],
    [
      'flags of a member where there is none',
      /change of a route with flags 8$/,
      Uint8Array.of(Wire.Routes, 1, 1, 8),
    ],
    [
      'a message given at QoS 3',
      /message given at QoS 3$/,
      Uint8Array.of(Wire.Give, 1, 1, 1, 1, 1, 0, 1, 103, 3),
    ],
    ['an unknown outcome', /message given, outcome 5$/, Uint8Array.of(Wire.Given, 1, 5)],
    ['flags of the routes of a shard', /flags 4$/, Uint8Array.of(Wire.ShardRoutes, 1, 4)],
    ['a delivery of QoS 0', /delivery of QoS 0$/, Uint8Array.of(Wire.Deliver, 1, 1, 1, 0)],
    [
      'a delivery with unknown flags',
      /delivery with flags 33$/,
      Uint8Array.of(Wire.Deliver, 1, 1, 1, 33),
    ],
    [
      'a retained query of an unknown kind',
      /retained query of kind 3$/,
      Uint8Array.of(Wire.RetainedQuery, 1, 1, 3),
    ],
    [
      'a retained reply of an unknown status',
      /retained reply of status 5$/,
      Uint8Array.of(Wire.RetainedReply, 1, 5),
    ],
    ['a question that is no JSON', /not JSON$/, Uint8Array.of(Wire.Ask, 1, 1, 123)],
    [
      'a question that is no object',
      /a question that is no object$/,
      written((w) => LinkMessage.Ask.write(w, 1, null)),
    ],
    ...[
      { type: 'session' },
      { type: 'explain', clientId: 7 },
      { type: 'kick', clientId: null },
      { type: 'sessions', after: '', limit: '1' },
      { type: 'sessions', after: 7, limit: 1 },
      { type: 'remote' },
    ].map((question): [string, RegExp, Uint8Array] => [
      `the question ${JSON.stringify(question)}`,
      new RegExp(`question ${question.type} without what it asks about$`),
      written((w) => LinkMessage.Ask.write(w, 1, question)),
    ]),
  ];
  for (const [name, why, bytes] of refused) {
    it(`end the link and not the node: ${name}`, () => {
      const nodes = new TestNodes();
      const core = nodes.add('n1');
      nodes.add('n2');
      nodes.errors.length = 0;
      core.links.onFrame('n2', frame(bytes));
      assert.equal(nodes.errors.length, 1);
      const { why: told } = JSON.parse(nodes.errors[0]!.replace('frame refused ', '')) as {
        why: string;
      };
      assert.match(told, why);
      nodes.settle();
      assert.equal(core.peers.get('n2')?.up, false);
      const client = nodes.connect(core, { clientId: 'after' });
      nodes.advance(100);
      assert.equal(client.take()[0]?.cmd, 'connack', 'it goes on serving clients');
    });
  }

  it('are in a lane: a frame of an unknown lane is refused by name', () => {
    assert.throws(() => new Inbox().take(Uint8Array.of(3)), new BytesError('lane 3'));
    assert.throws(() => new Inbox().take(Uint8Array.of(16)), new BytesError('lane 16'));
  });
});

describe('messages between nodes, as they stand in the fixtures', () => {
  it('are read by a node: Synced', () => {
    const nodes = new TestNodes();
    const core = nodes.add('n1');
    nodes.add('n2');
    const peer = core.peers.get('n2')!;
    peer.synced = false;
    core.links.onFrame('n2', frame(fixtureOf(MESSAGES, 'Synced')));
    assert.equal(peer.synced, true);
  });
});
