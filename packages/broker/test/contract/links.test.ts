import { setImmediate as turn } from 'node:timers/promises';
import type { LinkPeer } from '../../src/ports.ts';
import type { LinkHost, SimLinks } from '../../src/sim/links.ts';
import { LinkNode } from '../integration/link-node.ts';
import { simWorld, untilHolds } from '../sim/world.ts';
import { describeLinksContract, type LinksEnd } from './links.ts';

describeLinksContract('sockets', async () => {
  const end = async (name: string, bootEpoch: number) => {
    const node = new LinkNode(name, bootEpoch);
    await node.listen();
    const { links, events, listed } = node;
    const api: LinksEnd = {
      listed,
      events,
      setPeers: (peers) => links.setPeers(peers),
      send: (peer, frame) => links.send(peer, frame),
      reset: (peer) => links.reset(peer, 'the contract asks for it'),
    };
    return { node, api };
  };
  const [a, b] = [await end('a', 1), await end('b', 7)];
  const until = async (holds: () => boolean) => {
    while (!holds()) await turn();
  };
  return {
    a: a.api,
    b: b.api,
    breakLink: () => {
      for (const socket of b.node.sockets) socket.resetAndDestroy();
    },
    refused: () => until(() => a.node.logs.some((line) => line.startsWith('link: refused'))),
    until,
    dispose: async () => {
      await Promise.all([a.node.stop(), b.node.stop()]);
    },
  };
});

class SimEnd implements LinkHost, LinksEnd {
  readonly name: string;
  readonly bootEpoch: number;
  readonly alive = true;
  readonly paused = false;
  readonly clusterId = 'cluster';
  readonly events: string[] = [];
  peers: ReadonlyMap<string, number> = new Map();
  readonly #links: SimLinks;

  constructor(name: string, bootEpoch: number, links: SimLinks) {
    this.name = name;
    this.bootEpoch = bootEpoch;
    this.#links = links;
    links.attach(this);
  }

  get listed(): LinkPeer {
    return { name: this.name, bootEpoch: this.bootEpoch, address: `${this.name}:7000` };
  }

  setPeers(peers: readonly LinkPeer[]): void {
    const others = peers.filter(({ name }) => name !== this.name);
    this.peers = new Map(others.map(({ name, bootEpoch }) => [name, bootEpoch]));
    this.#links.peersChanged(this);
  }

  send(peer: string, frame: Uint8Array): void {
    this.#links.send(this, peer, frame);
  }

  reset(peer: string): void {
    this.#links.reset(this.name, peer, this);
  }

  run(fn: () => void): void {
    fn();
  }

  onNoListener(): void {}

  onLinkUp(peer: string, bootEpoch: number): void {
    this.events.push(`up ${peer} ${bootEpoch}`);
  }

  onLinkDown(peer: string): void {
    this.events.push(`down ${peer}`);
  }

  onReset(peer: string): void {
    this.events.push(`reset ${peer}`);
  }

  onFrame(peer: string, frame: Uint8Array): void {
    this.events.push(`frame ${peer} ${Buffer.from(frame).toString()}`);
  }
}

describeLinksContract('simulated', async () => {
  const { scheduler, links } = simWorld();
  return {
    a: new SimEnd('a', 1, links),
    b: new SimEnd('b', 7, links),
    breakLink: () => {
      links.reset('a', 'b');
    },
    refused: async () => scheduler.runUntil(scheduler.nowMs + 3000),
    until: (holds) => untilHolds(scheduler, holds),
    dispose: async () => {},
  };
});
