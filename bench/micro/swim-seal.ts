/**
 * What does sealing and opening a message of membership cost?
 *
 *     node --conditions=shoal-source bench/micro/swim-seal.ts
 *
 * Prints the median of interleaved runs in µs of CPU per message: seal, open, and refusing what floods bring:
 * an unknown key id, and a forgery under a known one. Opening goes over messages of one sender in turn.
 */
import { cpus } from 'node:os';
import { generateKey, Keyring } from '../../packages/swim/src/security/keyring.ts';
import { Sealer } from '../../packages/swim/src/security/sealer.ts';

const RUNS = 15;
const MESSAGES = 4_000;

const key = generateKey();
const make = (keys: readonly Uint8Array[]): Sealer =>
  new Sealer({ keyring: Keyring.of(keys), clusterId: 'demo', sendersMax: 1_024 });

const stranger = make([generateKey()]);
let kept = 0;

/** µs of CPU for each message. */
function time(messages: readonly Uint8Array[], act: (bytes: Uint8Array) => { length: number }) {
  const start = process.cpuUsage();
  for (const bytes of messages) kept += act(bytes).length;
  const { user, system } = process.cpuUsage(start);
  return (user + system) / messages.length;
}

const NOTHING = new Uint8Array();
const sizes = [200, 1_400];
const figures = new Map<string, number[]>();
const note = (name: string, figure: number): void => {
  figures.set(name, [...(figures.get(name) ?? []), figure]);
};

for (let run = 0; run <= RUNS; run++) {
  for (const size of sizes) {
    const from = make([key]);
    const to = make([key]);
    const plain = Array.from({ length: MESSAGES }, () => Buffer.alloc(size, run));
    const sealed: Uint8Array[] = [];
    const results = {
      seal: time(plain, (bytes) => {
        const out = from.seal('datagram', bytes);
        sealed.push(out);
        return out;
      }),
      open: time(sealed, (bytes) => to.open('datagram', bytes)?.bytes ?? NOTHING),
      'unknown key': time(sealed, (bytes) => stranger.open('datagram', bytes)?.bytes ?? NOTHING),
      forgery: time(
        sealed.map((bytes, n) => {
          const forged = Buffer.from(bytes);
          forged.writeUInt32BE(n, 14);
          return forged;
        }),
        (bytes) => to.open('datagram', bytes)?.bytes ?? NOTHING,
      ),
    };
    // The first run warms up.
    if (run > 0) for (const [name, us] of Object.entries(results)) note(`${name} ${size} B`, us);
  }
}

console.log(`${cpus()[0]?.model}, Node.js ${process.version}; ${kept} bytes in all`);
for (const [name, us] of figures) {
  const sorted = us.toSorted((a, b) => a - b);
  console.log(`${name.padEnd(20)} ${(sorted[sorted.length >> 1] as number).toFixed(2)} µs`);
}
