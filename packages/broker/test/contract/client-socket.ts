import assert from 'node:assert/strict';
import type { ClientHandler, ClientSocket } from '../../src/ports.ts';

/** The client at the other end of a connection. */
export interface ClientEnd {
  /** All that came so far. */
  readonly received: Buffer;
  /** The connection is over, as the client sees it. */
  readonly isOver: boolean;
  write(bytes: Uint8Array): void;
  /** Reads nothing for a while, or until {@link read}. */
  stopReading(): void;
  read(): void;
  /** Goes, and says so. */
  leave(): void;
}

/** One accepted connection. */
export interface SocketUnderTest {
  readonly socket: ClientSocket;
  readonly client: ClientEnd;
  /** Runs `fn` as one turn of the broker. */
  turn(fn: () => void): Promise<void>;
  /** Until `holds`; what happens meanwhile goes on happening. */
  until(holds: () => boolean): Promise<void>;
  dispose(): Promise<void>;
}

/** Writes down what a connection is told. */
class Recorder implements ClientHandler {
  received = Buffer.alloc(0);
  closed = 0;
  drained = 0;
  onBytes: () => void = () => {};

  onData(buffer: Uint8Array, start: number, end: number): void {
    this.received = Buffer.concat([this.received, buffer.subarray(start, end)]);
    this.onBytes();
  }

  onClosed(): void {
    this.closed++;
  }

  onSecond(): void {}

  onDrain(): void {
    this.drained++;
  }
}

/** Bytes that repeat only every 251, so that a swap or a gap shows. */
function pattern(bytes: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: bytes }, (_, i) => i % 251));
}

const LARGE = pattern(8_000_000);

/** What a {@link ClientSocket} and its {@link ClientHandler} promise, whatever carries the bytes. */
export function describeClientSocketContract(
  name: string,
  open: (handler: ClientHandler) => Promise<SocketUnderTest>,
): void {
  describe(`ClientSocket contract: ${name}`, () => {
    let under: SocketUnderTest;
    let socket: ClientSocket;
    let client: ClientEnd;
    let handler: Recorder;

    beforeEach(async () => {
      handler = new Recorder();
      under = await open(handler);
      ({ socket, client } = under);
    });
    afterEach(() => under.dispose());

    const writeParts = (bytes: Buffer, size: number) => {
      for (let at = 0; at < bytes.length; at += size) socket.write(bytes.subarray(at, at + size));
    };

    it('hands over in order what the client sends', async () => {
      const sent = pattern(200_000);
      for (let at = 0; at < sent.length; at += 7_000) client.write(sent.subarray(at, at + 7_000));
      await under.until(() => handler.received.length >= sent.length);
      assert.ok(handler.received.equals(sent));
    });

    it('sends in order what several turns write', async () => {
      const sent = pattern(6_000);
      for (let at = 0; at < sent.length; at += 600)
        await under.turn(() => writeParts(sent.subarray(at, at + 600), 50));
      await under.until(() => client.received.length >= sent.length);
      assert.ok(client.received.equals(sent));
    });

    it('counts what a turn has written as pending, until it has left', async () => {
      await under.turn(() => {
        writeParts(pattern(300), 100);
        assert.equal(socket.pendingBytes, 300);
      });
      await under.until(() => client.received.length === 300);
      assert.equal(socket.pendingBytes, 0);
    });

    it('says who is at the other end', () => {
      assert.notEqual(socket.remote, '');
    });

    it('sends what was written before close(true), and nothing after', async () => {
      await under.turn(() => {
        socket.write(Buffer.from('bye'));
        socket.close(true);
        socket.write(Buffer.from('too late'));
        assert.equal(handler.closed, 0, 'onClosed came from within close');
      });
      await under.until(() => client.isOver);
      client.leave();
      await under.until(() => handler.closed > 0);
      assert.equal(client.received.toString(), 'bye');
      assert.equal(handler.closed, 1);
    });

    it('drops what was written before close(false)', async () => {
      await under.turn(() => {
        socket.write(Buffer.from('never'));
        socket.close(false);
        assert.equal(handler.closed, 0, 'onClosed came from within close');
      });
      await under.until(() => client.isOver && handler.closed > 0);
      assert.equal(client.received.length, 0);
      assert.equal(handler.closed, 1);
    });

    it('hands over nothing after close', async () => {
      let calls = 0;
      handler.onBytes = () => {
        calls++;
        socket.close(true);
      };
      for (let i = 0; i < 20; i++) client.write(pattern(10_000));
      await under.until(() => client.isOver);
      assert.equal(calls, 1);
    });

    it('tells once that the client has gone, and takes writes to it for nothing', async () => {
      client.leave();
      await under.until(() => handler.closed > 0);
      await under.turn(() => {
        socket.write(Buffer.from('into the void'));
        socket.awaitDrain();
        socket.close(true);
        socket.close(false);
      });
      assert.deepEqual([handler.closed, handler.drained], [1, 0]);
    });

    it('reads little while paused, and everything after resume', async () => {
      handler.onBytes = () => {
        handler.onBytes = () => {};
        socket.pause();
      };
      const sent = pattern(2_000_000);
      client.write(sent);
      await under.until(() => handler.received.length > 0);
      for (let i = 0; i < 20; i++) await under.turn(() => {});
      assert.ok(handler.received.length < sent.length);
      socket.resume();
      await under.until(() => handler.received.length >= sent.length);
      assert.ok(handler.received.equals(sent));
    });

    it('calls onDrain once where it was asked for and the kernel takes all at once', async () => {
      await under.turn(() => {
        socket.write(Buffer.from('small'));
        socket.awaitDrain();
        assert.equal(handler.drained, 0, 'onDrain came from within the call');
      });
      await under.until(() => handler.drained > 0);
      await under.turn(() => socket.write(Buffer.from('more')));
      await under.until(() => client.received.toString() === 'smallmore');
      assert.equal(handler.drained, 1);
    });

    it('knows what a slow reader owes, and calls onDrain when it has read it, in order', async () => {
      client.stopReading();
      await under.turn(() => writeParts(LARGE, 500_000));
      await under.turn(() => {});
      assert.ok(socket.pendingBytes > 0);
      assert.equal(handler.drained, 0);
      client.read();
      await under.until(() => handler.drained > 0 && client.received.length >= LARGE.length);
      assert.equal(socket.pendingBytes, 0);
      assert.ok(client.received.equals(LARGE));
    });
  });
}
