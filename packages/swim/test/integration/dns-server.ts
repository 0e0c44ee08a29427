import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type Answer, decode, encode, type Question } from 'dns-packet';

/** Records by name and type, as a test wants them: `records.set('swim.test A', [...])`. */
export type Records = Map<string, readonly Answer[]>;

/** A DNS server on loopback that answers from a table, over UDP. */
export class DnsServer {
  readonly records: Records = new Map();
  /** "name type" of every question, in order. */
  readonly asked: string[] = [];
  /** Names whose questions are not answered at all. */
  readonly silent = new Set<string>();
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (bytes, remote) => {
      const query = decode(bytes);
      const [question] = query.questions ?? [];
      if (question === undefined) return;
      const answer = this.#answer(query.id ?? 0, question);
      if (answer !== undefined) socket.send(answer, remote.port, remote.address);
    });
  }

  static async start(): Promise<DnsServer> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new DnsServer(socket);
  }

  /** IP:PORT, as `setServers` takes it. */
  get address(): string {
    return `127.0.0.1:${(this.#socket.address() as AddressInfo).port}`;
  }

  set(type: 'A' | 'AAAA', name: string, ...addresses: readonly string[]): void {
    this.records.set(
      `${name} ${type}`,
      addresses.map((data) => ({ type, name, ttl: 0, data })),
    );
  }

  setServices(
    name: string,
    ...targets: readonly (readonly [target: string, port: number])[]
  ): void {
    this.records.set(
      `${name} SRV`,
      targets.map(([target, port]) => ({
        type: 'SRV',
        name,
        ttl: 0,
        data: { target, port, priority: 1, weight: 1 },
      })),
    );
  }

  async stop(): Promise<void> {
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }

  #answer(id: number, question: Question): Buffer | undefined {
    this.asked.push(`${question.name} ${question.type}`);
    if (this.silent.has(question.name)) return undefined;
    const answers = this.records.get(`${question.name} ${question.type}`);
    const known = [...this.records.keys()].some((key) => key.startsWith(`${question.name} `));
    const NXDOMAIN = 3;
    return encode({
      type: 'response',
      id,
      flags: 0x8580 | (known ? 0 : NXDOMAIN),
      questions: [question],
      answers: [...(answers ?? [])],
    });
  }
}
