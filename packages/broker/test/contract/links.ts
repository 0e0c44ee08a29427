import assert from 'node:assert/strict';
import type { LinkPeer } from '../../src/ports.ts';

/** One node's links under test. */
export interface LinksEnd {
  /** How other nodes list it. */
  readonly listed: LinkPeer;
  /** What it was told, in order: `up PEER EPOCH`, `down PEER`, `reset PEER`, `frame PEER TEXT`. */
  readonly events: readonly string[];
  setPeers(peers: readonly LinkPeer[]): void;
  send(peer: string, frame: Uint8Array): void;
  /** What came from the peer cannot be read. */
  reset(peer: string): void;
}

/** Two nodes without a link: `a` with boot epoch 1, `b` with boot epoch 7. */
export interface LinksUnderTest {
  readonly a: LinksEnd;
  readonly b: LinksEnd;
  /** Breaks the link between them, as a network does. */
  breakLink(): void;
  /** Until `a` has dialled in vain. */
  refused(): Promise<void>;
  /** Until `holds`; what happens meanwhile goes on happening. */
  until(holds: () => boolean): Promise<void>;
  dispose(): Promise<void>;
}

/** What links between nodes promise, in every implementation. */
export function describeLinksContract(name: string, open: () => Promise<LinksUnderTest>): void {
  describe(`Links contract: ${name}`, () => {
    let under: LinksUnderTest;
    let a: LinksEnd;
    let b: LinksEnd;

    beforeEach(async () => {
      under = await open();
      ({ a, b } = under);
    });
    afterEach(() => under.dispose());

    const count = (end: LinksEnd, event: string) =>
      end.events.filter((seen) => seen === event).length;
    const saw = (end: LinksEnd, event: string, times = 1) =>
      under.until(() => count(end, event) >= times);
    const up = async (times = 1) => {
      await saw(a, 'up b 7', times);
      await saw(b, 'up a 1', times);
    };
    const listBoth = async () => {
      for (const end of [a, b]) end.setPeers([a.listed, b.listed]);
      await up();
    };

    it('come up once at both ends when each lists the other', async () => {
      await listBoth();
      assert.deepEqual([a.events, b.events], [['up b 7'], ['up a 1']]);
    });

    it('wait until the dialler is listed at the other end', async () => {
      a.setPeers([b.listed]);
      a.send('b', Buffer.from('lost'));
      b.setPeers([a.listed]);
      await up();
      a.send('b', Buffer.from('kept'));
      await saw(b, 'frame a kept');
      assert.deepEqual(b.events, ['up a 1', 'frame a kept']);
    });

    it('carry frames once and in order, both ways', async () => {
      await listBoth();
      const texts = Array.from({ length: 200 }, (_, i) => `${i}`);
      for (const text of texts) {
        a.send('b', Buffer.from(text));
        b.send('a', Buffer.from(text));
      }
      await saw(a, 'frame b 199');
      await saw(b, 'frame a 199');
      assert.deepEqual(a.events, ['up b 7', ...texts.map((text) => `frame b ${text}`)]);
      assert.deepEqual(b.events, ['up a 1', ...texts.map((text) => `frame a ${text}`)]);
    });

    it('drop what is sent to a node without a link', async () => {
      await listBoth();
      a.send('c', Buffer.from('to no node'));
      a.send('b', Buffer.from('to b'));
      await saw(b, 'frame a to b');
      assert.deepEqual([a.events, b.events], [['up b 7'], ['up a 1', 'frame a to b']]);
    });

    it('go down, as a reset, at both ends when they break, and come up again', async () => {
      await listBoth();
      under.breakLink();
      await up(2);
      assert.deepEqual(a.events.toSorted(), ['down b', 'reset b', 'up b 7', 'up b 7']);
      assert.deepEqual(b.events.toSorted(), ['down a', 'reset a', 'up a 1', 'up a 1']);
      assert.ok(a.events.indexOf('down b') < a.events.lastIndexOf('up b 7'));
      a.send('b', Buffer.from('again'));
      await saw(b, 'frame a again');
    });

    for (const [who, drop] of [
      ['lists the other no more', (end: LinksEnd) => end.setPeers([end.listed])],
      ['cannot read what came', (end: LinksEnd) => end.reset(end === a ? 'b' : 'a')],
    ] as const) {
      it(`go down at the end that ${who}, and as a reset at the other`, async () => {
        await listBoth();
        drop(a);
        a.send('b', Buffer.from('lost'));
        await saw(a, 'down b');
        await saw(b, 'reset a');
        assert.equal(count(a, 'reset b'), 0);
        assert.equal(count(b, 'down a'), 1);
        assert.equal(count(b, 'frame a lost'), 0);
      });
    }

    it('are held with the process that is listed, never with an earlier one of its name', async () => {
      await listBoth();
      a.setPeers([{ ...b.listed, bootEpoch: 8 }]);
      await saw(a, 'down b');
      await under.refused();
      assert.deepEqual(a.events, ['up b 7', 'down b']);
      a.setPeers([b.listed]);
      await up(2);
    });
  });
}
