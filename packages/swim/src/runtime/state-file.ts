import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SwimError } from '../errors.ts';

/**
 * Keeps the boot epoch of one member in a file, so that no start repeats one, whatever the clock says.
 *
 * The file is one line, `boot-epoch NUMBER`. It is replaced as a whole: a crash leaves the old or the
 * new one.
 */
export class StateFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * A boot epoch higher than the one kept, and kept itself when this resolves.
   *
   * @param atLeast what it should be, if that is higher; default the time in milliseconds
   * @throws SwimError SWIM_ERR_CONFIG if the file cannot be read or written, is not ours, or keeps the highest
   */
  async next(atLeast: number = Date.now()): Promise<number> {
    const bootEpoch = Math.max(atLeast, (await this.#read()) + 1);
    if (!Number.isSafeInteger(bootEpoch)) {
      throw new SwimError('SWIM_ERR_CONFIG', `stateFile: no boot epoch comes after ${this.#path}`);
    }
    await this.keep(bootEpoch);
    return bootEpoch;
  }

  /** Resolves once this boot epoch is on disk. @throws SwimError SWIM_ERR_CONFIG */
  async keep(bootEpoch: number): Promise<void> {
    const made = `${this.#path}.new`;
    try {
      const file = await open(made, 'w', 0o600);
      try {
        await file.writeFile(`boot-epoch ${bootEpoch}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(made, this.#path);
      await syncFolder(dirname(this.#path));
    } catch (cause) {
      throw new SwimError('SWIM_ERR_CONFIG', `stateFile: ${String(cause)}`, { cause });
    }
  }

  /** The boot epoch kept; -1 if there is none yet. */
  async #read(): Promise<number> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return -1;
      throw new SwimError('SWIM_ERR_CONFIG', `stateFile: ${String(cause)}`, { cause });
    }
    const kept = /^boot-epoch (\d{1,16})\n$/.exec(text)?.[1];
    const bootEpoch = Number(kept);
    if (kept === undefined || !Number.isSafeInteger(bootEpoch)) {
      throw new SwimError('SWIM_ERR_CONFIG', `stateFile: ${this.#path} keeps no boot epoch`);
    }
    return bootEpoch;
  }
}

/** Makes the renaming durable, where the system can. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
