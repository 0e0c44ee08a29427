/**
 * The runs of a data folder, by boot epoch, and what others have seen of them.
 *
 * A folder that is restored from an older copy is whole in itself: only others can tell that the node has
 * lived on meanwhile. So a folder keeps the epochs of its runs, a node tells them first on every link, and
 * keeps the last epoch it has seen of each other folder. A run that is missing from a folder's list was
 * lived on another copy of it, with promises, views and entries that this one has never had: it is
 * another store from now on, and its copies are learners.
 */
import { KEY_RUNS } from '../../shard/keys.ts';
import { type CopyId, nameOf } from '../../shard/view.ts';
import { Lane } from '../link/lanes.ts';
import { LinkMessage } from '../link/link-message.ts';
import type { Peer } from '../link/peers.ts';
import { type Identity, randomId, saveIdentity } from './identity.ts';
import { type Lives, RUNS_MAX, writeLives } from './lives.ts';
import type { LineagePort } from './members-port.ts';

/** Folders of others whose last epoch is kept; beyond it that of the oldest epoch goes. */
const SEEN_MAX = 1024;

export class Lineage {
  readonly #port: LineagePort;
  #runs: number[];
  readonly #seen: Map<CopyId, number>;

  constructor(port: LineagePort) {
    this.#port = port;
    const { lives, bootEpoch } = port.identity;
    this.#runs = [...(lives?.runs ?? [bootEpoch])];
    this.#seen = new Map(lives?.seen ?? []);
  }

  /** First words on a link: which runs this folder has had. */
  hello(peer: Peer): void {
    const w = this.#port.peers.to(peer.name, Lane.Urgent);
    if (w) LinkMessage.Runs.write(w, this.#runs);
  }

  onRuns(peer: Peer, runs: readonly number[]): void {
    const seen = this.#seen.get(peer.id) ?? 0;
    peer.trusted = seen === 0 || knows(runs, seen);
    if (!peer.trusted) {
      this.#port.env.log('error', 'data folder of a node is older than its last known run', {
        peer: peer.name,
        seen,
      });
      const w = this.#port.peers.to(peer.name, Lane.Urgent);
      if (w) LinkMessage.RunMissing.write(w, seen);
      return;
    }
    const later = this.#latest(peer.name);
    if (later > peer.bootEpoch) {
      const w = this.#port.peers.to(peer.name, Lane.Urgent);
      if (w) LinkMessage.LaterRun.write(w, later);
    }
    if (peer.bootEpoch <= seen) return;
    this.#seen.set(peer.id, peer.bootEpoch);
    if (this.#seen.size > SEEN_MAX) {
      const [oldest] = [...this.#seen].sort((a, b) => a[1] - b[1])[0]!;
      this.#seen.delete(oldest);
    }
    this.#save();
  }

  /** Last epoch seen of a node, with any data folder. */
  #latest(name: string): number {
    let latest = 0;
    for (const [id, epoch] of this.#seen) if (nameOf(id) === name) latest = Math.max(latest, epoch);
    return latest;
  }

  /**
   * A peer has seen a later run of this node, with another folder: its clock went back with its disk. What
   * others keep by node and epoch (requests, connections, Wills) would take this run for one of before.
   */
  onLaterRun(epoch: number): void {
    const bootEpoch = epoch + 1;
    if (epoch > this.#port.identity.bootEpoch && Number.isSafeInteger(bootEpoch))
      this.outlive(bootEpoch, () => {});
  }

  /** What the folder notes beside its store of its last run. @returns whether the node goes on */
  onLastRun(epoch = 0): boolean {
    const { heldEpoch = epoch } = this.#port.identity;
    return epoch <= heldEpoch || this.onRunMissing(epoch);
  }

  /**
   * Another node, or the record beside the store, has seen a run of this folder that it does not know of.
   * Then the node ends, and is another store when it starts again.
   *
   * @returns whether it goes on
   */
  onRunMissing(epoch: number): boolean {
    if (knows(this.#runs, epoch)) return true;
    const { shards, acceptLoss, env } = this.#port;
    const why = `run ${epoch} of this folder is known to others and missing from the folder: the folder is an older copy`;
    if (acceptLoss) {
      this.#port.env.log('warn', 'data folder is an older copy: loss accepted', {
        epoch,
      });
      this.#runs = [...this.#runs, epoch].sort((a, b) => a - b).slice(-RUNS_MAX);
      this.#save();
      this.#port.batch.onDurable(() => {
        for (const peer of this.#port.peers.byName.values()) this.hello(peer);
      });
      return true;
    }
    const only = shards.copies.filter(({ view, self }) => view.active.every((id) => id === self));
    const held = only.filter(({ view }) => view.active.length > 0);
    if (held.length > 0) {
      const what = `${why}; it has the only copy of ${held.length} shards`;
      env.fatal('BROKER_ERR_DATA_SHORT', what);
      return false;
    }
    shards.standStill();
    const storeId = randomId(() => env.random(), 8);
    const renewed: Identity = { ...this.#port.identity, storeId };
    saveIdentity(env.store, renewed, () => env.fatal('BROKER_ERR_DATA_OLDER', why));
    return false;
  }

  /**
   * The cluster knows a later run of this node: the clock went back with the folder. The next start takes
   * the epoch after it, and is then told by others whether the folder is older than what they saw.
   *
   * @param ended called when that is durable, and this run is at its end
   */
  outlive(bootEpoch: number, ended: (why: Error) => void): void {
    const { env, shards, identity } = this.#port;
    const why = `the cluster knows run ${bootEpoch - 1} of this node, and this run is ${identity.bootEpoch}`;
    shards.standStill();
    saveIdentity(env.store, { ...identity, bootEpoch }, () => {
      env.fatal('BROKER_ERR_DATA_OLDER', why);
      ended(new Error(why));
    });
  }

  #save(): void {
    const lives: Lives = { runs: this.#runs, seen: this.#seen };
    this.#port.batch.put(KEY_RUNS, writeLives(lives), true);
  }
}

/** A list that is full has forgotten the oldest runs. */
function knows(runs: readonly number[], epoch: number): boolean {
  return runs.includes(epoch) || (runs.length >= RUNS_MAX && epoch < runs[0]!);
}
