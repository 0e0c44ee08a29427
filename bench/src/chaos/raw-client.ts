import net from 'node:net';
import mqttPacket, { type Packet } from 'mqtt-packet';

/** One MQTT 5 connection that can send any bytes and remembers all packets that came. */
export class RawClient {
  readonly packets: Packet[] = [];
  readonly closed: Promise<void>;
  readonly socket: net.Socket;
  #onPacket = (): void => {};

  private constructor(port: number) {
    this.socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
    const parser = mqttPacket.parser({ protocolVersion: 5 });
    parser.on('packet', (packet) => {
      this.packets.push(packet);
      this.#onPacket();
    });
    parser.on('error', () => {});
    this.socket.on('data', (chunk) => parser.parse(chunk));
    this.socket.on('error', () => {});
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.socket.once('close', () => resolve());
  }

  /** Connected but nothing sent. */
  static async open(port: number): Promise<RawClient> {
    const client = new RawClient(port);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    client.socket.once('connect', resolve).once('error', reject);
    await promise;
    return client;
  }

  static async connect(port: number, clientId: string): Promise<RawClient> {
    const client = await RawClient.open(port);
    client.socket.write(connectPacket(clientId));
    const { reasonCode } = await client.next('connack');
    if (reasonCode !== 0) throw new Error(`CONNACK with reason code ${reasonCode}`);
    return client;
  }

  send(packet: Packet): void {
    this.socket.write(mqttPacket.generate(packet, { protocolVersion: 5 }));
  }

  /** The next packet of this kind; rejects if the connection closes first. */
  async next<C extends Packet['cmd']>(cmd: C): Promise<Extract<Packet, { cmd: C }>> {
    const { promise, resolve, reject } = Promise.withResolvers<Extract<Packet, { cmd: C }>>();
    const look = (): void => {
      const at = this.packets.findIndex((packet) => packet.cmd === cmd);
      if (at >= 0) resolve(this.packets.splice(at, 1)[0] as Extract<Packet, { cmd: C }>);
    };
    this.#onPacket = look;
    look();
    void this.closed.then(() => reject(new Error(`closed before ${cmd}`)));
    return promise;
  }
}

/** CONNECT of MQTT 5 with Clean Start. */
export function connectPacket(clientId: string): Buffer {
  const base = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5 } as const;
  const packet = { ...base, clientId, clean: true, keepalive: 30 };
  return mqttPacket.generate(packet, { protocolVersion: 5 });
}
