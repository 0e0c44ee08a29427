import { EventEmitter, once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { PeerLinks, type PeerLinksInit } from '../../src/edge/link/peer-link.ts';
import type { LinkPeer } from '../../src/ports.ts';

/** A node: a server that hands its connections over, as SWIM does, and the links. */
export class LinkNode {
  readonly name: string;
  readonly bootEpoch: number;
  readonly links: PeerLinks;
  readonly server: Server;
  readonly sockets = new Set<Socket>();
  /** Everything that was called back, in order. */
  readonly events: string[] = [];
  readonly frames: Buffer[] = [];
  readonly logs: string[] = [];
  readonly #emitter = new EventEmitter();

  constructor(name: string, bootEpoch: number, init: Partial<PeerLinksInit> = {}) {
    this.name = name;
    this.bootEpoch = bootEpoch;
    const note = (event: string): void => {
      this.events.push(event);
      this.#emitter.emit('event');
    };
    this.links = new PeerLinks({
      clusterId: () => 'cluster',
      name,
      bootEpoch,
      node: {
        onLinkUp: (peer, epoch) => note(`up ${peer} ${epoch}`),
        onLinkDown: (peer) => note(`down ${peer}`),
        onNoListener: (peer, epoch) => note(`gone ${peer} ${epoch}`),
        onFrame: (peer, frame) => {
          const short = frame.length <= 20;
          this.frames.push(Buffer.from(frame));
          note(`frame ${peer} ${short ? Buffer.from(frame).toString() : frame.length}`);
        },
      },
      onReset: (peer) => note(`reset ${peer}`),
      log: (_, message, fields) => {
        this.logs.push(`${message} ${JSON.stringify(fields)}`);
        this.#emitter.emit('event');
      },
      ...init,
    });
    this.server = createServer((socket) => {
      this.sockets.add(socket);
      socket.on('error', () => {});
      socket.once('data', (head) => {
        socket.pause();
        socket.removeAllListeners('error');
        this.links.accept(socket, head);
      });
    });
  }

  async listen(port = 0): Promise<void> {
    this.server.listen(port, '127.0.0.1');
    await once(this.server, 'listening');
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get listed(): LinkPeer {
    return { name: this.name, bootEpoch: this.bootEpoch, address: `127.0.0.1:${this.port}` };
  }

  /** Until `holds`, looking again after every event. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await once(this.#emitter, 'event');
  }

  async saw(event: string, times = 1): Promise<void> {
    await this.until(() => this.events.filter((at) => at === event).length >= times);
  }

  async stop(): Promise<void> {
    this.links.close();
    for (const socket of this.sockets) socket.destroy();
    if (!this.server.listening) return;
    this.server.close();
    await once(this.server, 'close');
  }
}
