/**
 * The composition root: one node process, opened, wired and closed in order.
 *
 * Open: data folder → cores → port for clients → admin API → shards from disk and membership with links
 * (process/founding.ts says in which order) → the clock. The process core lets clients in when the node is
 * ready, and says when everything is to close: last opened first.
 */
import type { SwimHandle } from '@shoal/swim';
import type { GivenSettings } from './cluster-settings.ts';
import type { Config } from './config.ts';
import { serveAdmin } from './edge/admin/serve-admin.ts';
import { openLinks } from './edge/link/open-links.ts';
import type { PeerLinks } from './edge/link/peer-link.ts';
import { type Listeners, openListeners } from './edge/listeners/listeners.ts';
import { openLog } from './edge/log.ts';
import { watchJoin } from './edge/membership/join-watch.ts';
import { processMembership, startMembership } from './edge/membership/start-membership.ts';
import type { DataFolder } from './edge/store/data-folder.ts';
import { openKeyring } from './edge/store/keyring-file.ts';
import { loadShards, type OpenFolder, openFolder } from './edge/store/open-folder.ts';
import { SYSTEM } from './edge/system.ts';
import { Ticker } from './edge/ticker.ts';
import { TurnEnd } from './edge/turn-end.ts';
import { BrokerError, type BrokerErrorCode } from './errors.ts';
import { NodeCore } from './node/node.ts';
import type { Log, NodeEnv } from './ports.ts';
import { bootOrder } from './process/founding.ts';
import { lookDrained } from './process/leaving.ts';
import { nodeOptions, processOptions } from './process/options.ts';
import { ProcessCore } from './process/process-core.ts';
import type { ProcessHost } from './process/process-port.ts';
import type { NodeHooks, ReadyReport, RunningNode, StartOptions } from './process/running-node.ts';

/**
 * Starts a node; resolves once it is on disk and in membership, `ready` once it serves clients.
 *
 * @param given settings of the cluster that the operator gave in words ({@link givenSettings}): where a
 *   cluster that the node joins has others, it ends with BROKER_ERR_JOIN_SETTINGS
 * @throws BrokerError when it cannot start; nothing stays open
 */
export async function startNode(
  config: Config,
  hooks: NodeHooks,
  given: GivenSettings = {},
  options: StartOptions = {},
): Promise<RunningNode> {
  const running = new NodeProcess(config, hooks);
  try {
    await running.open(given, options.acceptLoss ?? false);
  } catch (error) {
    await running.close();
    throw error;
  }
  return running;
}

class NodeProcess implements RunningNode {
  readonly ready: Promise<ReadyReport>;
  readonly #config: Config;
  readonly #hooks: NodeHooks;
  readonly #log: Log;
  readonly #readiness = Promise.withResolvers<ReadyReport>();
  readonly #ended = Promise.withResolvers<void>();
  /** What closes each thing that is open, the last one first. */
  readonly #closers: (() => Promise<void> | void)[] = [];
  readonly #turnEnd = new TurnEnd(() => {
    this.#wired?.core.flush();
    this.#listeners?.flush();
  });
  #wired: { readonly core: NodeCore; readonly process: ProcessCore } | null = null;
  #listeners: Listeners | null = null;
  #ticker: Ticker | null = null;
  #links: PeerLinks | null = null;
  #membership: SwimHandle | null = null;
  #closed = false;

  constructor(config: Config, hooks: NodeHooks) {
    this.#config = config;
    this.#hooks = hooks;
    this.#log = openLog(config);
    this.ready = this.#readiness.promise;
    // A node that stops before it serves, or leaves, may have no caller that waits for either.
    this.ready.catch(() => {});
    this.#ended.promise.catch((error) => this.#log('error', 'closing failed', { why: `${error}` }));
  }

  async open(given: GivenSettings, acceptLoss: boolean): Promise<void> {
    const [config, log] = [this.#config, this.#log];
    const opened = await openFolder(config, (error) => this.#fatal(error), log);
    this.#closers.unshift(() => opened.folder.close());
    const { core, process } = this.#wire(opened, given, acceptLoss);
    const membership = () => this.#membership;
    const keyring = await openKeyring(config, log);
    const onReset = (peer: string) => membership()?.probeNow(peer);
    const linked = openLinks({ config, core, ...opened, keyring, onReset, log });
    this.#links = linked.links;
    this.#listeners = await openListeners(config, core, log);
    this.#closers.unshift(() => this.#listeners?.close());
    const admin = await serveAdmin({ config, core, process, membership, log });
    this.#closers.unshift(() => admin.close());
    const joining = { config, ...opened, core, process, keyring, ...linked, log };
    for (const step of bootOrder(opened.founds)) {
      if (step === 'load') await loadShards(core);
      else this.#joined(await startMembership(joining), process);
    }
    this.#closers.unshift(watchJoin(config.cluster, core, membership, log));
    this.#ticker = new Ticker(process, admin.onTick);
    this.#closers.unshift(() => this.#ticker?.stop());
  }

  /** The core of the node, and that of its process around it. */
  #wire(opened: OpenFolder, given: GivenSettings, acceptLoss: boolean) {
    const options = nodeOptions(this.#config, { ...opened, given, acceptLoss });
    const core = new NodeCore(this.#env(opened), options);
    const host = this.#host(core, opened.folder);
    const process = new ProcessCore(processOptions(this.#config, options), core, host);
    this.#wired = { core, process };
    return this.#wired;
  }

  #env({ folder, marks }: OpenFolder): NodeEnv {
    return {
      ...folder.hooks,
      ...SYSTEM,
      store: folder.store,
      marks,
      sendFrame: (peer, frame) => this.#links?.send(peer, frame),
      resetLink: (peer, why) => this.#links?.reset(peer, why),
      scheduleFlush: () => this.#turnEnd.ask(),
      hasten: () => this.#ticker?.hasten(),
      log: this.#log,
      fatal: (code, message) => this.#fatal(new BrokerError(code as BrokerErrorCode, message)),
    };
  }

  #host(core: NodeCore, folder: DataFolder): ProcessHost {
    return {
      nowMs: SYSTEM.nowMs,
      log: this.#log,
      membership: () => this.#membership && processMembership(this.#membership),
      setPeers: (peers) => this.#links?.setPeers(peers),
      diskUnderWayMs: () => folder.store.underWayMs,
      drained: () => lookDrained(core),
      serve: () => this.#serve(),
      close: (how) => this.#end(how),
      fatal: (error) => this.#hooks.onFatal(error),
    };
  }

  #joined(membership: SwimHandle, process: ProcessCore): void {
    this.#membership = membership;
    this.#closers.unshift(() => {
      this.#links?.close();
      return membership.stop();
    });
    process.onMembers();
  }

  /** Clients may come. @returns where to */
  #serve(): string {
    const listeners = this.#listeners!;
    const { node, mqtt } = this.#config;
    listeners.open();
    const { reports, main, reference } = listeners;
    const { admin } = this.#wired!.process.meta;
    const cluster = this.#membership!.address;
    const addresses = { mqtt: main.address, listeners: reports, cluster, admin };
    this.#readiness.resolve({ node: node.name, pid: process.pid, ...addresses });
    return mqtt.advertise ?? reference;
  }

  /** Before there is a process core, only the store can fail. */
  #fatal(error: BrokerError): void {
    if (this.#wired !== null) this.#wired.process.fatal(error);
    else this.#hooks.onFatal(error);
  }

  async reload(): Promise<void> {
    await this.#listeners?.reload();
  }

  stop(): Promise<void> {
    this.#readiness.reject(new BrokerError('BROKER_ERR_NOT_READY', 'stopped'));
    this.#wired?.process.stop();
    return this.#ended.promise;
  }

  #end(how: 'stopped' | 'left'): void {
    const closed = this.close();
    this.#ended.resolve(how === 'left' ? closed.then(() => this.#hooks.onLeft?.()) : closed);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#wired?.process.close();
    for (const close of this.#closers) await close();
  }
}
