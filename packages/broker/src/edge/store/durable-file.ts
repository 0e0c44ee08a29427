import { open, readdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Replaces a file as a whole: after a power cut it is the old one or the new one. */
export async function writeDurably(path: string, text: string): Promise<void> {
  const next = `${path}.new`;
  const handle = await open(next, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(next, path);
  await syncPath(dirname(path));
}

/** Syncs a folder, or a file that is closed. */
async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Syncs a folder and all files in it. */
export async function syncFolder(dir: string): Promise<void> {
  for (const entry of await readdir(dir, { withFileTypes: true }))
    if (entry.isFile()) await syncPath(join(dir, entry.name));
  await syncPath(dir);
}
