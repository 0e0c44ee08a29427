/** A bit of a store's log turns over at rest. */
import fs from 'node:fs';
import path from 'node:path';

/**
 * Flips one bit of the newest log of LevelDB in a data folder; the node is down.
 *
 * @param random from 0 to 1
 * @returns what was done, in words
 */
export function flipBit(folder: string, random: () => number): string {
  const logs = fs
    .readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\d+\.log$/.test(file))
    .map((file) => path.join(folder, file))
    .filter((file) => fs.statSync(file).size > 0)
    .sort();
  const file = logs.at(-1);
  if (file === undefined) return 'no log to rot';
  const bytes = fs.readFileSync(file);
  const at = Math.floor(random() * (bytes.length - 1));
  bytes[at]! ^= 1 << Math.floor(random() * 7);
  fs.writeFileSync(file, bytes);
  return `a bit of ${path.basename(file)} is flipped at ${at} of ${bytes.length}`;
}
