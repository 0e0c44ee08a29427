import type { Connection, History } from './history.ts';
import type { ClientPipe } from './pipe.ts';
import { encodeSubscribe, type PacketReader, type ProtocolVersion } from './wire.ts';

/** Far from what the client's own exchanges use. */
const PACKET_ID = 65_000;

/**
 * The older connection of a session that has moved on: still open, and still asking.
 *
 * It sends a SUBSCRIBE once the newer connection is acknowledged. An answer would mean that the old
 * epoch changed the session (invariant 4); what the broker should do is close it.
 */
export class Zombie {
  readonly #pipe: ClientPipe;
  readonly #connection: Connection;
  readonly #history: History;
  readonly #version: ProtocolVersion;
  readonly #reader: PacketReader;
  #sentAtMs: number | undefined;

  constructor(o: {
    pipe: ClientPipe;
    connection: Connection;
    history: History;
    version: ProtocolVersion;
    reader: PacketReader;
  }) {
    this.#pipe = o.pipe;
    this.#connection = o.connection;
    this.#history = o.history;
    this.#version = o.version;
    this.#reader = o.reader;
  }

  /** The newer connection has its CONNACK. */
  ask(): void {
    this.#sentAtMs = this.#history.nowMs;
    const filter = `zombie/${this.#connection.id}`;
    this.#pipe.send(encodeSubscribe(this.#version, PACKET_ID, [{ filter, qos: 1 }]));
  }

  onData(pipe: ClientPipe, bytes: Uint8Array): void {
    if (pipe !== this.#pipe) return;
    this.#reader.feed(bytes, (packet) => {
      if (packet.type !== 'suback' || packet.packetId !== PACKET_ID) return;
      if (
        this.#sentAtMs !== undefined &&
        packet.reasonCodes[0] !== undefined &&
        packet.reasonCodes[0] < 0x80
      ) {
        this.#history.answered(this.#connection, 'suback', this.#sentAtMs);
      }
    });
  }

  end(): void {
    this.#pipe.leave(false);
  }
}
