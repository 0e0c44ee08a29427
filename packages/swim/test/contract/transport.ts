import assert from 'node:assert/strict';
import {
  PACKET_BYTES_MAX,
  type Transport,
  type TransportOpener,
  type TransportOptions,
} from '../../src/transport.ts';

/** Where transports of one kind are opened and driven. */
export interface TransportLab {
  readonly open: TransportOpener;
  /** Addresses to listen at, as many as asked for; they may end in port 0. */
  listen(): string;
  /** Awaits something that happens on the network; a simulated one lets its time pass meanwhile. */
  settle<T>(promise: Promise<T>): Promise<T>;
}

type Reply = (bytes: Uint8Array | null) => void;

/** One open transport, and what came in. */
interface End {
  readonly transport: Transport;
  readonly packets: { readonly from: string; readonly bytes: Uint8Array }[];
  readonly requests: { readonly bytes: Uint8Array; readonly reply: Reply }[];
  /** Resolves as soon as the condition holds; looked at whenever something comes in. */
  until(condition: () => boolean): Promise<void>;
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array | null | undefined): string | null =>
  bytes === null || bytes === undefined ? null : new TextDecoder().decode(bytes);

const STREAM_BYTES_MAX = 100_000;
/** Long enough never to be reached where an answer comes. */
const PATIENT_MS = 60_000;
/** For requests without an answer. */
const BRIEF_MS = 30;

/**
 * What every {@link Transport} must do. `makeLab` is called anew for each test; transports opened
 * in it are closed afterwards.
 */
export function describeTransportContract(kind: string, makeLab: () => TransportLab): void {
  describe(`transport contract: ${kind}`, () => {
    let lab: TransportLab;
    let opened: Transport[] = [];

    beforeEach(() => {
      lab = makeLab();
    });

    afterEach(async () => {
      await Promise.all(opened.map(async (transport) => await transport.close()));
      opened = [];
    });

    async function open(
      onRequest?: (bytes: Uint8Array, reply: Reply) => void,
      overrides: Partial<TransportOptions> = {},
    ): Promise<End> {
      const packets: End['packets'] = [];
      const requests: End['requests'] = [];
      const waiting = new Set<() => void>();
      const changed = (): void => {
        for (const look of waiting) look();
      };
      const transport = await lab.open({
        listen: lab.listen(),
        streamBytesMax: STREAM_BYTES_MAX,
        streamTimeoutMs: PATIENT_MS,
        onPacket: (from, bytes) => {
          packets.push({ from, bytes });
          changed();
        },
        onRequest: (_from, bytes, reply) => {
          requests.push({ bytes, reply });
          onRequest?.(bytes, reply);
          changed();
        },
        ...overrides,
      });
      opened.push(transport);
      const until = async (condition: () => boolean): Promise<void> => {
        const held = Promise.withResolvers<void>();
        const look = (): void => {
          if (condition()) held.resolve();
        };
        waiting.add(look);
        look();
        await lab.settle(held.promise);
        waiting.delete(look);
      };
      return { transport, packets, requests, until };
    }

    const openEcho = (): Promise<End> => open((bytes, reply) => reply(bytes));

    async function ask(
      from: End,
      to: string,
      bytes: Uint8Array,
      timeoutMs = PATIENT_MS,
    ): Promise<Uint8Array | null> {
      const done = Promise.withResolvers<Uint8Array | null>();
      from.transport.request(to, bytes, timeoutMs, done.resolve);
      return await lab.settle(done.promise);
    }

    /** A round trip: what came before it on the way has arrived. */
    async function fence(): Promise<void> {
      const [a, b] = [await open(), await openEcho()];
      a.transport.send(b.transport.address, bytesOf('fence'));
      await b.until(() => b.packets.length === 1);
      assert.equal(textOf(await ask(a, b.transport.address, bytesOf('fence'))), 'fence');
    }

    it('delivers packets of any size unchanged, a copy of what was given', async () => {
      const [a, b] = [await open(), await open()];
      for (const size of [0, 1, 1_400, 8_192]) {
        const sent = Uint8Array.from({ length: size }, (_, index) => (index * 7 + size) % 256);
        const given = sent.slice();
        a.transport.send(b.transport.address, given);
        given.fill(0xee);
        await b.until(() => b.packets.length === 1);
        assert.deepEqual(Uint8Array.from(b.packets.pop()?.bytes ?? []), sent);
      }
    });

    it('names the sender by an address that can be answered', async () => {
      const [a, b] = [await open(), await open()];
      a.transport.send(b.transport.address, bytesOf('who?'));
      await b.until(() => b.packets.length === 1);
      assert.equal(b.packets[0]?.from, a.transport.address);
      b.transport.send(b.packets[0]?.from ?? '', bytesOf('me'));
      await a.until(() => a.packets.length === 1);
      assert.equal(textOf(a.packets[0]?.bytes), 'me');
    });

    it('gives packets that are too long up, and counts them', async () => {
      const [a, b] = [await open(), await open()];
      a.transport.send(b.transport.address, new Uint8Array(PACKET_BYTES_MAX + 1));
      assert.equal(a.transport.failed, 1);
      a.transport.send(b.transport.address, bytesOf('short'));
      await b.until(() => b.packets.length === 1);
      assert.equal(textOf(b.packets[0]?.bytes), 'short');
    });

    it('lets packets to a closed address vanish', async () => {
      const [a, gone] = [await open(), await open()];
      await gone.transport.close();
      a.transport.send(gone.transport.address, bytesOf('anybody?'));
      await fence();
      assert.deepEqual(gone.packets, []);
    });

    it('answers a request once, whatever its size, with copies both ways', async () => {
      const answers: (Uint8Array | null)[] = [];
      const b = await open((bytes, reply) => {
        const answer = bytes.slice().reverse();
        reply(answer);
        answer.fill(0xee);
        reply(bytesOf('again'));
        reply(null);
      });
      const a = await open();
      for (const size of [0, 1, 70_000, STREAM_BYTES_MAX]) {
        const sent = Uint8Array.from({ length: size }, (_, index) => (index * 7 + size) % 256);
        const given = sent.slice();
        const done = Promise.withResolvers<void>();
        a.transport.request(b.transport.address, given, PATIENT_MS, (answer) => {
          answers.push(answer);
          done.resolve();
        });
        given.fill(0xee);
        await lab.settle(done.promise);
        assert.deepEqual(Uint8Array.from(answers.pop() ?? []), sent.toReversed());
      }
      await fence();
      assert.deepEqual(answers, []);
      assert.equal(b.requests.length, 4);
    });

    it('does not mix concurrent requests, answered in another order', async () => {
      const [a, b] = [await open(), await open()];
      const asked = Array.from({ length: 32 }, (_, index) =>
        ask(a, b.transport.address, bytesOf(`question ${index}`)),
      );
      await b.until(() => b.requests.length === 32);
      for (const { bytes, reply } of b.requests.toReversed()) reply(bytes);
      const answers = await Promise.all(asked);
      assert.deepEqual(
        answers.map(textOf),
        answers.map((_, index) => `question ${index}`),
      );
    });

    it('fails a request to a closed address, and one that is refused', async () => {
      const a = await open();
      const gone = await open();
      await gone.transport.close();
      assert.equal(await ask(a, gone.transport.address, bytesOf('anybody?')), null);
      const refusing = await open((_bytes, reply) => reply(null));
      assert.equal(await ask(a, refusing.transport.address, bytesOf('please')), null);
      assert.equal(await ask(a, 'not an address', bytesOf('please'), BRIEF_MS), null);
    });

    it('refuses requests and answers that are too long', async () => {
      const a = await open();
      const b = await open((_bytes, reply) => reply(new Uint8Array(STREAM_BYTES_MAX + 1)));
      const tooLong = new Uint8Array(STREAM_BYTES_MAX + 1);
      assert.equal(await ask(a, b.transport.address, tooLong), null);
      assert.equal(b.requests.length, 0);
      assert.equal(await ask(a, b.transport.address, bytesOf('?')), null);
      assert.equal(b.requests.length, 1);
      const small = await open((bytes, reply) => reply(bytes), { streamBytesMax: 4_096 });
      assert.equal(await ask(a, small.transport.address, new Uint8Array(4_097)), null);
      assert.equal(small.requests.length, 0);
    });

    it('fails a request after its time, and ignores an answer that comes later', async () => {
      const [a, b] = [await open(), await open()];
      const answers: (string | null)[] = [];
      const done = Promise.withResolvers<void>();
      a.transport.request(b.transport.address, bytesOf('slow'), BRIEF_MS, (answer) => {
        answers.push(textOf(answer));
        done.resolve();
      });
      await b.until(() => b.requests.length === 1);
      await lab.settle(done.promise);
      b.requests[0]?.reply(bytesOf('late'));
      await fence();
      assert.deepEqual(answers, [null]);
    });

    it('ends a request that came in and is never answered', async () => {
      const a = await open();
      const b = await open(() => {}, { streamTimeoutMs: BRIEF_MS });
      // A simulated transport leaves it to the one who asks.
      assert.equal(await ask(a, b.transport.address, bytesOf('?'), 200), null);
      b.requests[0]?.reply(bytesOf('late'));
      await fence();
    });

    it('calls no handler within send, request and reply', async () => {
      const a = await open();
      let within = 0;
      let calls = 0;
      const enter = (call: () => void): void => {
        within++;
        call();
        within--;
      };
      const b = await open((bytes, reply) => {
        assert.equal(within, 0);
        enter(() => reply(bytes));
      });
      for (const to of [b.transport.address, a.transport.address, 'not an address']) {
        const done = Promise.withResolvers<void>();
        enter(() => a.transport.send(to, bytesOf('?')));
        enter(() =>
          a.transport.request(to, bytesOf('?'), BRIEF_MS, () => {
            assert.equal(within, 0);
            calls++;
            done.resolve();
          }),
        );
        await lab.settle(done.promise);
      }
      assert.equal(calls, 3);
    });

    it('hands nothing over once closed, and ends what is pending', async () => {
      const [a, b] = [await open(), await open()];
      const answers: (Uint8Array | null)[] = [];
      a.transport.request(b.transport.address, bytesOf('slow'), PATIENT_MS, (answer) =>
        answers.push(answer),
      );
      await b.until(() => b.requests.length === 1);
      b.transport.send(a.transport.address, bytesOf('late'));
      const late = ask(b, a.transport.address, bytesOf('late'));
      await a.transport.close();
      assert.deepEqual(answers, [null]);
      b.requests[0]?.reply(bytesOf('answer'));
      assert.equal(await late, null);
      await fence();
      assert.deepEqual([answers, a.packets, a.requests], [[null], [], []]);
      a.transport.send(b.transport.address, bytesOf('from the grave'));
      assert.equal(await ask(a, b.transport.address, bytesOf('from the grave')), null);
      await fence();
      assert.deepEqual(b.packets, []);
      assert.equal(b.requests.length, 1);
      await a.transport.close();
    });

    it('answers nothing once closed', async () => {
      const [a, b] = [await open(), await open()];
      const answer = ask(a, b.transport.address, bytesOf('slow'), 200);
      await b.until(() => b.requests.length === 1);
      await b.transport.close();
      b.requests[0]?.reply(bytesOf('from the grave'));
      assert.equal(await answer, null);
    });

    it('refuses an address in use, and frees it at once when closed', async () => {
      const a = await open();
      const listen = a.transport.address;
      await assert.rejects(open(undefined, { listen }), /in use/);
      await a.transport.close();
      const next = await open(undefined, { listen });
      assert.equal(next.transport.address, listen);
      const b = await open();
      b.transport.send(listen, bytesOf('hello'));
      await next.until(() => next.packets.length === 1);
      assert.deepEqual(a.packets, []);
    });
  });
}
