/** A calm simulated network, and one node's end of simulated client connections. */
import { Prng, Scheduler } from '@shoal/swim/sim';
import type { ClientHandler } from '../../src/ports.ts';
import { SimLinks } from '../../src/sim/links.ts';
import { type NetworkOptions, SimNetwork } from '../../src/sim/network.ts';
import { ClientPipe, type PipeHost } from '../../src/sim/pipe.ts';
import { Transcript } from '../../src/sim/transcript.ts';

const CALM: NetworkOptions = {
  datagramDrop: 0,
  datagramDuplicate: 0,
  datagramReorder: 0,
  datagramReorderMs: 0,
  datagramDelayMs: 0,
  streamFail: 0,
  delayMinMs: 1,
  delayMaxMs: 20,
  linkBytesPerMs: 0,
  linkTimeoutMs: 1000,
};

/** @param change faults of the network */
export function simWorld(change: Partial<NetworkOptions> = {}) {
  const scheduler = new Scheduler();
  const random = new Prng(1);
  const transcript = new Transcript({ nowMs: () => scheduler.nowMs, readable: false });
  const options = { ...CALM, ...change };
  const network = new SimNetwork({ scheduler, random, transcript, options });
  const links = new SimLinks({ scheduler, random, network, transcript });
  return { scheduler, network, links };
}

/** One connection of a client at node n1, established. */
export function connectedPipe(
  seed: number,
  handler: ClientHandler,
  client: { onData(bytes: Uint8Array): void; onClosed(): void },
) {
  const scheduler = new Scheduler();
  const dirty = new Set<ClientPipe>();
  const host: PipeHost = {
    name: 'n1',
    alive: true,
    listening: true,
    run: (fn) => {
      fn();
      for (const pipe of dirty) pipe.endOfTurn();
      dirty.clear();
    },
    markDirty: (pipe) => dirty.add(pipe),
    accept: () => handler,
  };
  const pipe = new ClientPipe({
    scheduler,
    random: new Prng(seed),
    transcript: new Transcript({ nowMs: () => scheduler.nowMs, readable: false }),
    host,
    client,
    remote: 'c#1',
  });
  pipe.dial();
  scheduler.runUntil(20);
  return { scheduler, host, pipe };
}

/** Virtual time after which a condition never holds. */
const PATIENCE_MS = 60_000;

/** Lets virtual time go by until `holds`. */
export async function untilHolds(scheduler: Scheduler, holds: () => boolean): Promise<void> {
  const endMs = scheduler.nowMs + PATIENCE_MS;
  while (!holds()) {
    if (scheduler.nowMs >= endMs) throw new Error('it never happened');
    scheduler.runUntil(scheduler.nowMs + 1);
  }
}
