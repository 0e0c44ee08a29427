import type { Socket } from 'node:net';
import type { Config } from '../../config.ts';
import type { Identity } from '../../node/members/identity.ts';
import type { NodeCore } from '../../node/node.ts';
import type { Log } from '../../ports.ts';
import { type KeyringKeys, keepKeyring, keyIdOf } from '../store/keyring-file.ts';
import { LinkSecurity } from './link-security.ts';
import { PeerLinks } from './peer-link.ts';

export interface OpenLinksOptions {
  readonly config: Config;
  readonly core: NodeCore;
  readonly identity: Identity;
  /** Absent where nodes talk in clear. */
  readonly keyring: KeyringKeys | undefined;
  /** A link that was up ended, and not by this node's doing. */
  readonly onReset: (peer: string) => void;
  readonly log: Log;
}

export interface OpenLinks {
  readonly links: PeerLinks;
  /** The ring has changed: it is kept, and links of a key that is gone end. */
  readonly onKeyring: (keys: KeyringKeys) => Promise<void>;
  /** A connection to the cluster address that is not membership's. */
  readonly onForeignStream: (socket: Socket, head: Uint8Array) => void;
}

/** The links of a node, between the core and its peers. */
export function openLinks(options: OpenLinksOptions): OpenLinks {
  const { config, core, identity, keyring, onReset, log } = options;
  const { encryption } = config.cluster;
  const clusterId = () => core.clusterId;
  const security = keyring && new LinkSecurity({ keys: keyring, encryption, clusterId });
  const links = new PeerLinks({
    clusterId,
    name: identity.name,
    bootEpoch: identity.bootEpoch,
    security,
    onRefused: () => {
      core.counters.linksRefused++;
    },
    node: core.links,
    onReset,
    log,
  });
  return {
    links,
    onForeignStream: (socket, head) => links.accept(socket, head),
    onKeyring: async (keys) => {
      await keepKeyring(config.data.dir, keys);
      security?.setKeys(keys);
      log('info', 'keyring', { keys: keys.map((key) => keyIdOf(key)) });
      links.onKeyring();
    },
  };
}
