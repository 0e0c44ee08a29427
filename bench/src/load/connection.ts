/**
 * One MQTT connection of the load generator: a raw socket, a static read buffer shared by all, and
 * nothing per packet.
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import {
  encodeConnect,
  encodeDisconnect,
  encodeSubscribe,
  PacketType,
  type PacketVisitor,
  type Qos,
  visitPackets,
  writeAck,
} from './codec.ts';
import type { Transport } from './result.ts';
import { binaryFrame, FrameStripper, HEAD_END, upgradeRequest } from './web-frames.ts';

const READ_BUFFER_BYTES = 256 * 1024;
/** Acknowledgements collected before they are written; 4 bytes each. */
const ACK_SCRATCH_BYTES = 64 * 1024;
/** An answer to CONNECT or SUBSCRIBE that takes longer than this is an error. */
const ANSWER_TIMEOUT_MS = 30_000;

const readBuffer = Buffer.allocUnsafe(READ_BUFFER_BYTES);
const ackScratch = Buffer.allocUnsafe(ACK_SCRATCH_BYTES);

/** What a scenario wants to hear of its connections; any may be left out by doing nothing. */
export interface ConnectionListener {
  /** A message arrived; its payload is bytes[payloadAt, end). Acknowledged by the connection. */
  onMessage(connection: LoadConnection, bytes: Buffer, payloadAt: number, end: number): void;
  /** A publish of this connection is complete: PUBACK or PUBCOMP. */
  onPublished(connection: LoadConnection): void;
  /** The connection is gone without having been asked to. */
  onLost(connection: LoadConnection): void;
}

export interface ConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly transport: Transport;
  readonly clientId: string;
  readonly cleanSession: boolean;
  /** Source address; 127.1.k.1 lets many connections share one destination. */
  readonly localAddress?: string;
}

export class LoadConnection implements PacketVisitor {
  /** Position in the scenario's own arrays. */
  readonly index: number;
  readonly #listener: ConnectionListener;
  readonly #socket: Socket;
  readonly #isWeb: boolean;
  #tail: Buffer | null = null;
  #ackBytes = 0;
  #answer: { resolve(bytes: Buffer): void; reject(error: Error): void } | null = null;
  #closing = false;
  #nextPacketId = 1;
  #isUpgraded = false;

  private constructor(index: number, options: ConnectionOptions, listener: ConnectionListener) {
    this.index = index;
    this.#listener = listener;
    const { host, port, transport, localAddress } = options;
    const to = {
      host,
      port,
      noDelay: true,
      ...(localAddress === undefined ? {} : { localAddress }),
    };
    this.#isWeb = transport === 'ws' || transport === 'wss';
    if (transport === 'tcp') {
      const callback = (bytesRead: number) => {
        this.#onBytes(readBuffer, bytesRead);
        return true;
      };
      this.#socket = connect({ ...to, onread: { buffer: readBuffer, callback } });
    } else {
      const isPlain = transport === 'ws';
      // The broker is the one that this run has started: who it is needs no proof.
      this.#socket = isPlain ? connect(to) : connectTls({ ...to, rejectUnauthorized: false });
      if (!this.#isWeb)
        this.#socket.on('data', (chunk: Buffer) => this.#onBytes(chunk, chunk.length));
    }
    this.#socket.on('error', (error) => this.#onGone(error));
    this.#socket.on('close', () => this.#onGone(new Error('connection closed')));
  }

  /** Connects and resolves after the CONNACK; rejects on a refusal, an error or a timeout. */
  static async open(
    index: number,
    options: ConnectionOptions,
    listener: ConnectionListener,
  ): Promise<LoadConnection> {
    const connection = new LoadConnection(index, options, listener);
    if (connection.#isWeb) await connection.#upgrade(options.host);
    const answer = connection.#expect('CONNACK');
    connection.#put(encodeConnect(options.clientId, options.cleanSession));
    const connack = await answer;
    if (connack[1] !== 0) {
      connection.destroy();
      throw new Error(`${options.clientId}: CONNACK return code ${connack[1]}`);
    }
    return connection;
  }

  /** Sends the request for a WebSocket, and resolves with its answer; frames are read from then on. */
  async #upgrade(host: string): Promise<void> {
    const answer = this.#expect('101 Switching Protocols');
    this.#socket.write(upgradeRequest(host));
    const frames = new FrameStripper();
    const onPayload = (bytes: Buffer) => this.#onBytes(bytes, bytes.length);
    let head = Buffer.alloc(0);
    this.#socket.on('data', (chunk: Buffer) => {
      if (this.#isUpgraded) return frames.push(chunk, onPayload);
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf(HEAD_END);
      if (end < 0) return;
      this.#isUpgraded = true;
      this.#answer?.resolve(head.subarray(0, end));
      frames.push(head.subarray(end + HEAD_END.length), onPayload);
    });
    const status = String(await answer).split('\r\n', 1)[0] ?? '';
    if (!status.includes(' 101 ')) throw new Error(`WebSocket refused: ${status}`);
  }

  #put(bytes: Buffer): void {
    this.#socket.write(this.#isWeb ? binaryFrame(bytes) : bytes);
  }

  /** Subscribes to one filter and resolves after the SUBACK. */
  async subscribe(filter: string, qos: Qos): Promise<void> {
    const answer = this.#expect('SUBACK');
    this.#put(encodeSubscribe(1, filter, qos));
    const suback = await answer;
    if ((suback[2] ?? 0x80) >= 0x80) throw new Error(`subscription to ${filter} refused`);
  }

  /** The next Packet Identifier, 1 to 65535 round and round. */
  takePacketId(): number {
    const id = this.#nextPacketId;
    this.#nextPacketId = id === 0xffff ? 1 : id + 1;
    return id;
  }

  /**
   * Writes bytes.
   *
   * @returns true if the kernel took them at once, so that the buffer may be reused
   */
  write(bytes: Buffer): boolean {
    this.#put(bytes);
    return this.#isWeb || this.#socket.writableLength === 0;
  }

  /** DISCONNECT and close; resolves when the socket is closed. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    const closed = new Promise<void>((resolve) => this.#socket.once('close', () => resolve()));
    this.#put(encodeDisconnect());
    this.#socket.end();
    const timer = setTimeout(() => this.#socket.destroy(), 2_000);
    await closed;
    clearTimeout(timer);
  }

  destroy(): void {
    this.#closing = true;
    this.#socket.destroy();
  }

  onPacket(type: number, flags: number, bytes: Buffer, start: number, end: number): void {
    switch (type) {
      case PacketType.PUBLISH: {
        const afterTopic = start + 2 + bytes.readUInt16BE(start);
        const qos = (flags >> 1) & 3;
        if (qos === 0) {
          this.#listener.onMessage(this, bytes, afterTopic, end);
          return;
        }
        const packetId = bytes.readUInt16BE(afterTopic);
        this.#ack(qos === 1 ? PacketType.PUBACK : PacketType.PUBREC, packetId);
        this.#listener.onMessage(this, bytes, afterTopic + 2, end);
        return;
      }
      case PacketType.PUBACK:
      case PacketType.PUBCOMP:
        this.#listener.onPublished(this);
        return;
      case PacketType.PUBREC:
        this.#ack(PacketType.PUBREL, bytes.readUInt16BE(start));
        return;
      case PacketType.PUBREL:
        this.#ack(PacketType.PUBCOMP, bytes.readUInt16BE(start));
        return;
      case PacketType.CONNACK:
      case PacketType.SUBACK:
        this.#answer?.resolve(Buffer.from(bytes.subarray(start, end)));
        return;
      default:
        throw new Error(`unexpected packet type ${type}`);
    }
  }

  #onBytes(bytes: Buffer, length: number): void {
    if (this.#tail === null) {
      const used = visitPackets(bytes, 0, length, this);
      if (used < length) this.#tail = Buffer.from(bytes.subarray(used, length));
    } else {
      const joined = Buffer.concat([this.#tail, bytes.subarray(0, length)]);
      const used = visitPackets(joined, 0, joined.length, this);
      this.#tail = used < joined.length ? joined.subarray(used) : null;
    }
    this.#flushAcks();
  }

  /** Collects an acknowledgement; all of one read leave in one write. */
  #ack(type: number, packetId: number): void {
    if (this.#ackBytes === ACK_SCRATCH_BYTES) this.#flushAcks();
    writeAck(ackScratch, this.#ackBytes, type, packetId);
    this.#ackBytes += 4;
  }

  #flushAcks(): void {
    if (this.#ackBytes === 0) return;
    const copy = Buffer.allocUnsafe(this.#ackBytes);
    ackScratch.copy(copy, 0, 0, this.#ackBytes);
    this.#ackBytes = 0;
    this.#put(copy);
  }

  #expect(what: string): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no ${what} within ${ANSWER_TIMEOUT_MS} ms`)),
        ANSWER_TIMEOUT_MS,
      );
      const settle = () => {
        clearTimeout(timer);
        this.#answer = null;
      };
      this.#answer = {
        resolve: (bytes) => {
          settle();
          resolve(bytes);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
    });
  }

  #onGone(error: Error): void {
    this.#answer?.reject(error);
    if (this.#closing) return;
    this.#closing = true;
    this.#listener.onLost(this);
  }
}

/**
 * Opens `count` connections, at most `concurrency` at a time.
 *
 * @throws the first error; connections opened before it stay open (the process ends anyway)
 */
export async function openMany(
  count: number,
  concurrency: number,
  open: (index: number) => Promise<LoadConnection>,
): Promise<LoadConnection[]> {
  const connections: LoadConnection[] = [];
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const index = next;
      next++;
      connections[index] = await open(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, count) }, lane));
  return connections;
}
