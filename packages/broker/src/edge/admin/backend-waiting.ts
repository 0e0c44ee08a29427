/** What waits at this node, why, and the way out, in words for people; blames no node that answers. */

import type { PausedAnswer } from '../../node/ask/question.ts';
import type { Unled } from '../../node/ask/unled.ts';
import type { NodeCore } from '../../node/node.ts';
import type { Lacking } from '../../node/route/grants.ts';
import { nameOf } from '../../shard/view.ts';
import { stateOf } from './backend-ask.ts';

type Missing = PausedAnswer['missing'][number];

/** Publishes that wait for less are not reported: routes come, or membership finds out. */
const NEWS_MS = 1000;
/** A node that starts takes longer until it serves. */
const STARTS_MS = 5000;

/** What waits at this node now, the worst first. */
export function pausedHere(core: NodeCore): PausedAnswer[] {
  const nowMs = core.nowMs();
  const paused: PausedAnswer[] = [];
  const begun = (sinceMs: number) => {
    const forMs = Math.round(nowMs - sinceMs);
    return { since: new Date(core.env.wallMs() - forMs).toISOString(), forMs };
  };
  const { lapsedSinceMs } = core.grants;
  if (core.shardCount > 0 && nowMs - lapsedSinceMs >= (core.ready ? NEWS_MS : STARTS_MS)) {
    const all = core.ready
      ? 'All QoS 1 and 2 publishes wait, and SUBSCRIBEs with them'
      : 'Clients are not served yet';
    paused.push({
      what: 'publishes',
      ...begun(lapsedSinceMs),
      shards: 0,
      missing: silent(core, nowMs).map(({ name }) => missingNode(core, name)),
      message: `${all}: ${whyWaiting(core, nowMs)}.`,
      remedy: publishesRemedy(core, nowMs),
    });
  }
  const unled = core.unled.now(nowMs);
  if (unled) {
    const missing = missingOf(core, unled, nowMs);
    paused.push({
      what: 'shards',
      ...begun(unled.sinceMs),
      shards: unled.shards,
      missing,
      message: shardsMessage(core, unled.shards, missing),
      remedy: shardsRemedy(missing),
    });
  }
  return paused;
}

/** Members without whose grant nothing is routed, by why they give none. */
export function whyWaiting(core: NodeCore, nowMs: number): string {
  const lacking = core.grants.lacking(nowMs);
  if (lacking.length === 0) return 'the leaders of some shards have never been heard of';
  const mute = silent(core, nowMs).map(({ name }) => missingNode(core, name));
  if (mute.length > 0) {
    const reached = mute.every(({ state }) => state === 'alive')
      ? ', which other members reach'
      : '';
    return `no word from ${listed(mute.map(described))}${reached}`;
  }
  const gone = lacking.filter(({ what }) => what === 'successors').map(({ name }) => name);
  if (gone.length === lacking.length)
    return `the next leaders of shards of ${listed(gone)} are due`;
  const others = lacking.filter(({ what }) => what !== 'successors').map(({ name }) => name);
  return `the routes of ${listed(others)} have not all arrived`;
}

/**
 * What waits while everything else is served: requests to shards that no node in reach leads. '' if there
 * are none.
 */
export function whyPaused(core: NodeCore, nowMs: number): string {
  const unled = core.unled.now(nowMs);
  return unled ? shardsMessage(core, unled.shards, missingOf(core, unled, nowMs)) : '';
}

/** Members whose grant is lacking and that do not answer. */
function silent(core: NodeCore, nowMs: number): Lacking[] {
  return core.grants.lacking(nowMs).filter(({ name, what }) => {
    const peer = core.peers.get(name);
    return what !== 'successors' && !(peer && core.unled.hears(peer.id, nowMs));
  });
}

function publishesRemedy(core: NodeCore, nowMs: number): string {
  const lacking = core.grants.lacking(nowMs);
  if (lacking.length === 0)
    return 'Start the nodes that do not answer: a node serves once it has heard of every leader.';
  const mute = silent(core, nowMs).map(({ name }) => name);
  if (mute.length > 0) {
    const where = mute.map((name) => `${name} at ${core.membership.get(name)?.address ?? '?'}`);
    const they = mute.length === 1 ? 'it hangs, restart it' : 'one hangs, restart it';
    return `Check the network from here to ${listed(where)}; if ${they}. Publishes go on once the link is back, or other members find the node dead.`;
  }
  if (lacking.every(({ what }) => what === 'successors'))
    return 'Wait: this ends by itself within 3 s.';
  return 'Wait: routes are on their way. If this lasts for a minute, check the load of these nodes and the network between them.';
}

function shardsMessage(core: NodeCore, shards: number, missing: readonly Missing[]): string {
  const what = `Sessions and messages of ${shards} of ${core.shardCount} shards wait for a leader`;
  if (missing.length === 0) return `${what}: all of their voters answer, and none leads yet.`;
  const does = missing.length === 1 ? 'does' : 'do';
  return `${what}; of their voters ${listed(missing.map(described))} ${does} not answer.`;
}

function shardsRemedy(missing: readonly Missing[]): string {
  if (missing.length === 0)
    return 'Wait some seconds. If this lasts, run `shoal shard recover` for each node: it lists copies that wait for an operator, and changes nothing.';
  const those = (of: (m: Missing) => boolean) => missing.filter(of).map(({ name }) => name);
  const ended = those((m) => !m.otherFolder && m.state !== 'alive');
  const mute = those((m) => !m.otherFolder && m.state === 'alive');
  const wiped = those((m) => m.otherFolder);
  const theirs = ended.length === 1 ? 'its data folder' : 'their data folders';
  return [
    ended.length > 0 &&
      `Start ${listed(ended)} again, with ${theirs}; restart a process that hangs.`,
    mute.length > 0 &&
      `Check the host of ${listed(mute)} and the network to it; restart a process that hangs.`,
    wiped.length > 0 &&
      `Put the former data folder of ${listed(wiped)} back: the present one has no vote.`,
    'A shard goes on once a majority of its voters answers. `shoal node remove --force` gives votes to other nodes only where a majority is left.',
  ]
    .filter((sentence) => sentence !== false)
    .join(' ');
}

function missingOf(core: NodeCore, { missing }: Unled, nowMs: number): Missing[] {
  return missing.map((id) => {
    const peer = core.peers.get(nameOf(id));
    const otherFolder = peer !== undefined && peer.id !== id && core.unled.hears(peer.id, nowMs);
    return missingNode(core, nameOf(id), otherFolder);
  });
}

function missingNode(core: NodeCore, name: string, otherFolder = false): Missing {
  const state = core.membership.get(name) ? stateOf(core, name) : 'unknown';
  return { name, state, otherFolder };
}

/** `n4 (faulty)`. */
function described({ name, state, otherFolder }: Missing): string {
  if (otherFolder) return `${name} with its former data folder`;
  return `${name} (${state === 'unknown' ? 'not seen yet' : state})`;
}

/** `a`, `a and b`, `a, b and c`. */
function listed(names: readonly string[]): string {
  if (names.length < 2) return names.join('');
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
