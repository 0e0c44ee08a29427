/**
 * How soon is a ping answered by a process whose main loop is busy, with membership in that loop and in a
 * thread of its own?
 *
 *     node --conditions=shoal-source bench/micro/swim-thread.ts [pings]
 *
 * The member is a process of its own. Its main loop works for 0.5 to 40 ms at a time, of which one part in
 * ten is pause: 90 % busy. Prints, per variant, milliseconds from a ping to its ack at p50, p99 and the
 * longest; unanswered ones after 1 s are counted. Variants take turns.
 */
import { fork } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { SwimAgent, SwimThread, swimConfig } from '@shoal/swim';
import { decodeMessage, encodeMessage } from '../../packages/swim/src/core/codec.ts';
import { SWIM_VERSIONS } from '../../packages/swim/src/core/message.ts';

const ROUNDS = 4;
const PING_EVERY_MS = 5;
const LOST_AFTER_MS = 1_000;

type Variant = 'main loop' | 'thread';

/** Works and pauses until the process ends; the lengths are drawn evenly on a logarithmic scale. */
function keepBusy(): void {
  const workMs = 0.5 * 80 ** Math.random();
  const untilMs = performance.now() + workMs;
  while (performance.now() < untilMs);
  setTimeout(keepBusy, workMs / 9);
}

/** The member: runs until its parent ends it. */
async function serve(variant: Variant, busy: boolean): Promise<void> {
  const options = {
    config: swimConfig(),
    name: 'member',
    bootEpoch: 1,
    clusterId: 'bench',
    listen: '127.0.0.1:0',
    meta: new Uint8Array(),
  };
  const onFailure = (error: Error): void => {
    throw error;
  };
  const { address } = await (variant === 'thread'
    ? SwimThread.start({ ...options, onFailure })
    : SwimAgent.start(options));
  process.send?.(address);
  if (busy) keepBusy();
}

/** Milliseconds of each ping that was answered. */
async function measure(variant: Variant, busy: boolean, pings: number): Promise<number[]> {
  const child = fork(new URL(import.meta.url), [variant, busy ? 'busy' : 'idle']);
  const [address] = (await once(child, 'message')) as [string];
  const [host, port] = address.split(':') as [string, string];
  const socket = createSocket('udp4');
  const sentMs = new Map<number, number>();
  const tookMs: number[] = [];
  socket.on('message', (bytes) => {
    const message = decodeMessage(bytes, SWIM_VERSIONS);
    if (typeof message === 'string' || message.body.type !== 'ack') return;
    const atMs = sentMs.get(message.body.seq);
    if (atMs !== undefined) tookMs.push(performance.now() - atMs);
    sentMs.delete(message.body.seq);
  });
  const header = { version: SWIM_VERSIONS.max, clusterId: 'bench', name: 'prober', bootEpoch: 1 };
  const target = { target: 'member', targetBootEpoch: 1, targetIncarnation: 0 };
  for (let seq = 1; seq <= pings; seq++) {
    const bytes = encodeMessage(header, { type: 'ping', seq, digest: 0, ...target }, []);
    sentMs.set(seq, performance.now());
    socket.send(bytes, Number(port), host);
    await wait(PING_EVERY_MS);
  }
  await wait(LOST_AFTER_MS);
  socket.close();
  child.kill('SIGKILL');
  await once(child, 'exit');
  return tookMs;
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function compare(pings: number): Promise<void> {
  const variants: readonly Variant[] = ['main loop', 'thread'];
  const results = new Map<string, number[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const busy of [false, true]) {
      for (const variant of variants) {
        const name = `${busy ? '90 % busy' : 'idle'}, ${variant}`;
        const took = await measure(variant, busy, Math.ceil(pings / ROUNDS));
        results.set(name, [...(results.get(name) ?? []), ...took]);
      }
    }
  }
  console.log(`${cpus()[0]?.model}, ${cpus().length} cores, Node.js ${process.version}`);
  const sent = Math.ceil(pings / ROUNDS) * ROUNDS;
  for (const [name, took] of results) {
    took.sort((left, right) => left - right);
    const at = (fraction: number): string =>
      (took[Math.min(took.length - 1, Math.floor(took.length * fraction))] ?? 0).toFixed(2);
    console.log(
      `${name}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms, ${sent - took.length} of ${sent} lost`,
    );
  }
}

const [first, second] = process.argv.slice(2);
if (process.send !== undefined) await serve(first as Variant, second === 'busy');
else await compare(Number(first ?? 4_000));
