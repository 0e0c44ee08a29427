import type { Config } from '../../config.ts';
import { BrokerError } from '../../errors.ts';
import { type Identity, loadIdentity } from '../../node/members/identity.ts';
import type { Log, MarkFile, Store } from '../../ports.ts';
import { foundingIdentity } from '../../process/founding.ts';
import { toldOf } from '../../process/options.ts';
import { DataFolder } from './data-folder.ts';

/** A data folder with what this start goes on with. */
export interface OpenFolder {
  readonly folder: DataFolder;
  readonly identity: Identity;
  /** The folder is of no cluster, and this node founds one. */
  readonly founds: boolean;
  readonly marks: MarkFile;
}

/**
 * Opens the data folder, and takes the boot epoch of this start, which is on disk when it resolves.
 *
 * @throws BrokerError as DataFolder.open and `loadIdentity` name them; the folder is closed
 */
export async function openFolder(
  config: Config,
  onFatal: (error: BrokerError) => void,
  log: Log,
): Promise<OpenFolder> {
  const folder = await DataFolder.open({
    ...config.data,
    onFatal: (_code, error) => onFatal(error),
    log,
  });
  try {
    const held = await identityOf(folder.store, config.node.name);
    const { identity, founds } = foundingIdentity(held, toldOf(config));
    return { folder, identity, founds, marks: await folder.identified(identity) };
  } catch (error) {
    await folder.close();
    throw error;
  }
}

/** Loads every shard; a founder writes the first view of each. Resolves when clients may soon be served. */
export function loadShards(core: { boot(done: () => void): void; flush(): void }): Promise<void> {
  return new Promise((resolve) => {
    core.boot(resolve);
    core.flush();
  });
}

function identityOf(store: Store, name: string): Promise<Identity> {
  return new Promise((resolve, reject) => {
    loadIdentity(store, { name, wallMs: Date.now(), random: Math.random }, (result) => {
      if ('error' in result) reject(new BrokerError(result.error, result.message));
      else resolve(result);
    });
  });
}
