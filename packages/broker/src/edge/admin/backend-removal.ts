/**
 * Removal of nodes: the one that goes drains itself (process/leaving.ts), the others look on.
 *
 * A dead one that an operator removed by force is an ordinary member again, should it come back: until then
 * membership says that it has left, and the others replace it.
 */

import { BrokerError } from '../../errors.ts';
import type { RemovalAnswer } from '../../node/ask/question.ts';
import { shardsNeeding } from '../../node/members/drained.ts';
import { copiesWanted, isUsable } from '../../node/members/replication.ts';
import type { NodeCore } from '../../node/node.ts';
import type { MemberInfo } from '../../ports.ts';
import { nameOf } from '../../shard/view.ts';
import type { RemovalPlan, RemovalProgress } from './admin-backend.ts';
import { ask } from './backend-ask.ts';
import { underReplicated } from './backend-status.ts';

export interface RemovalHooks {
  /** This node drains from now on. Once nothing needs it, it leaves membership and its process ends. */
  leave(): void;
  /** Makes a dead member count as left on every node; false where it is not dead. */
  forceLeave(name: string): Promise<boolean>;
  bytesHeld(): Promise<number>;
}

/** A removal as this node knows it. */
interface Removal {
  readonly bootEpoch: number;
  readonly startedMs: number;
  readonly shardsTotal: number;
  readonly bytesTotal: number;
  /** It was dead and did not drain itself. */
  readonly forced: boolean;
  /** When it was first seen to be gone. */
  endedMs: number | null;
}

/** For the estimate of a plan: what one learner takes in, and the hand-overs that a leader starts. */
const TRANSFER_BYTES_PER_SECOND = 20 * 1024 * 1024;
const HANDOVERS_PER_SECOND = 200;
const SETTLING_MS = 3000;

const NOTHING: RemovalAnswer = { shardsTotal: 0, bytesTotal: 0, elapsedMs: 0 };

export class Removals {
  readonly #core: NodeCore;
  readonly #hooks: RemovalHooks;
  /** By name; at most one per member. */
  readonly #followed = new Map<string, Removal>();
  #own: Promise<Removal> | null = null;
  #ownStarted: Removal | null = null;

  constructor(core: NodeCore, hooks: RemovalHooks) {
    this.#core = core;
    this.#hooks = hooks;
  }

  /** @throws BROKER_ERR_NODE_UNKNOWN, BROKER_ERR_NODE_LAST, BROKER_ERR_NODE_UNREACHABLE */
  async plan(name: string): Promise<RemovalPlan> {
    const member = this.#removable(name);
    const replicas = this.#core.cluster.replicas;
    const { after, breaks, refusal } = this.#judge(member);
    const { held, led, moving } = this.#shards(name, after);
    const absent = isDead(member) || member.state === 'left';
    const bytes = absent ? 0 : await ask(this.#core, name, { type: 'bytes' });
    if (bytes === undefined) throw new BrokerError('BROKER_ERR_NODE_UNREACHABLE', name);
    const toCopy = Math.round(bytes * moving);
    return {
      node: name,
      shardsHeld: held,
      shardsLed: led,
      bytes: toCopy,
      durationMs: absent
        ? 0
        : Math.round(
            SETTLING_MS +
              (toCopy / TRANSFER_BYTES_PER_SECOND) * 1000 +
              (led / HANDOVERS_PER_SECOND) * 1000,
          ),
      replicas,
      replicasAfter: after,
      breaksReplicas: breaks,
      refusal,
    };
  }

  /**
   * Tells the node to drain, or with `force` tells all members that a dead node has left. A repeated call
   * returns the present progress.
   *
   * @throws BROKER_ERR_NODE_UNKNOWN, BROKER_ERR_NODE_LAST, BROKER_ERR_NODE_WOULD_BREAK_REPLICAS,
   *   BROKER_ERR_NODE_UNREACHABLE; nothing has changed
   */
  async remove(name: string, { force }: { readonly force: boolean }): Promise<RemovalProgress> {
    const member = this.#removable(name);
    if (isDead(member) && force) return this.#progress(name, await this.#forceLeave(member));
    const under = await this.#underWay(name);
    if (under) return this.#progress(name, under);
    if (isDead(member)) throw new BrokerError('BROKER_ERR_NODE_UNREACHABLE', deadNode(name));
    const { refusal } = this.#judge(member);
    if (refusal !== '' && !force)
      throw new BrokerError('BROKER_ERR_NODE_WOULD_BREAK_REPLICAS', refusal);
    const answer = await ask(this.#core, name, { type: 'leave' });
    if (answer === undefined) throw new BrokerError('BROKER_ERR_NODE_UNREACHABLE', name);
    if (answer === 'last') throw new BrokerError('BROKER_ERR_NODE_LAST', name);
    return this.#progress(name, this.#follow(member, answer, false));
  }

  /**
   * @throws BROKER_ERR_NODE_UNKNOWN, BROKER_ERR_REMOVAL_UNKNOWN, BROKER_ERR_NODE_UNREACHABLE when it
   *   died before it was drained
   */
  async progress(name: string): Promise<RemovalProgress> {
    const removal = await this.#underWay(name);
    if (removal) return this.#progress(name, removal);
    const member = this.#core.membership.get(name);
    if (!member) throw new BrokerError('BROKER_ERR_NODE_UNKNOWN', name);
    // It went without this node being asked: that it is gone is all that is known here.
    if (member.state === 'left') return this.#progress(name, this.#follow(member, NOTHING, false));
    throw new BrokerError('BROKER_ERR_REMOVAL_UNKNOWN', name);
  }

  // ---- the node that goes ----------------------------------------------------------------------

  /** The drain of this very node, begun now if it was not before. */
  leave(done: (answer: RemovalAnswer | 'last') => void): void {
    if (!this.#own && !this.#othersRemain(this.#core.name)) return done('last');
    this.#own ??= this.#begin();
    this.#own.then((removal) => done(this.#answer(removal)));
  }

  /** Where the drain of this very node stands. */
  own(): RemovalAnswer | null {
    return this.#ownStarted && this.#answer(this.#ownStarted);
  }

  async #begin(): Promise<Removal> {
    const core = this.#core;
    const { after } = this.#copiesWithout(core.name);
    const { moving } = this.#shards(core.name, after);
    const removal: Removal = {
      bootEpoch: core.bootEpoch,
      startedMs: core.nowMs(),
      shardsTotal: shardsNeeding(core.views, core.name),
      bytesTotal: Math.round((await this.#hooks.bytesHeld()) * moving),
      forced: false,
      endedMs: null,
    };
    this.#ownStarted = removal;
    core.log('info', 'leaving the cluster', { shards: removal.shardsTotal });
    this.#hooks.leave();
    return removal;
  }

  #answer({ shardsTotal, bytesTotal, startedMs }: Removal): RemovalAnswer {
    return { shardsTotal, bytesTotal, elapsedMs: this.#core.nowMs() - startedMs };
  }

  // ---- the others ------------------------------------------------------------------------------

  /** An operator says of a dead member that it is gone for good. */
  async #forceLeave(member: MemberInfo): Promise<Removal> {
    const { name } = member;
    const shardsTotal = shardsNeeding(this.#core.views, name);
    if (!(await this.#hooks.forceLeave(name)))
      throw new BrokerError('BROKER_ERR_NODE_UNREACHABLE', `${name} has just come back; try again`);
    this.#core.log('warn', 'removed a dead member', { member: name, shards: shardsTotal });
    return this.#follow(member, { ...NOTHING, shardsTotal }, true);
  }

  /** The removal of a member if there is one under way or done. */
  async #underWay(name: string): Promise<Removal | null> {
    const member = this.#core.membership.get(name);
    const known = this.#followed.get(name);
    const refuted = known?.forced && member && member.state !== 'left';
    if (known && !refuted && (!member || known.bootEpoch === member.bootEpoch)) return known;
    // Started again, or not dead after all, which ends a removal.
    this.#followed.delete(name);
    const shardsTotal = shardsNeeding(this.#core.views, name);
    if (member?.state === 'left')
      return shardsTotal > 0 ? this.#follow(member, { ...NOTHING, shardsTotal }, true) : null;
    if (!member?.meta.leaving) return null;
    const answer = await ask(this.#core, name, { type: 'removal' });
    if (answer) return this.#follow(member, answer, false);
    if (answer === null) return null;
    return this.#follow(member, { ...NOTHING, shardsTotal }, false);
  }

  #follow(member: MemberInfo, answer: RemovalAnswer, forced: boolean): Removal {
    const { bootEpoch } = member;
    const { shardsTotal, bytesTotal, elapsedMs } = answer;
    const startedMs = this.#core.nowMs() - elapsedMs;
    const removal = { bootEpoch, startedMs, shardsTotal, bytesTotal, forced, endedMs: null };
    this.#followed.set(member.name, removal);
    return removal;
  }

  #progress(node: string, removal: Removal): RemovalProgress {
    const member = this.#core.membership.get(node);
    const { shardsTotal, bytesTotal, startedMs } = removal;
    const left = shardsNeeding(this.#core.views, node);
    const dead = member?.state === 'faulty';
    if (dead && left > 0)
      throw new BrokerError(
        'BROKER_ERR_NODE_UNREACHABLE',
        `it died while it was draining; ${deadNode(node)}`,
      );
    const gone = left === 0 && (!member || member.state === 'left' || dead);
    const shardsDone = gone ? shardsTotal : Math.max(0, shardsTotal - left);
    const share = shardsTotal === 0 ? 1 : shardsDone / shardsTotal;
    if (gone) removal.endedMs ??= this.#core.nowMs();
    const elapsedMs = Math.round((removal.endedMs ?? this.#core.nowMs()) - startedMs);
    return {
      node,
      state: gone ? 'gone' : 'draining',
      shardsTotal,
      shardsDone,
      bytesTotal,
      bytesDone: Math.floor(bytesTotal * share),
      elapsedMs,
      remainingMs: gone ? 0 : share === 0 ? null : Math.round((elapsedMs * (1 - share)) / share),
    };
  }

  /** What the member holds and leads, and the share of it to be copied for `wanted` copies without it. */
  #shards(name: string, wanted: number): { held: number; led: number; moving: number } {
    let held = 0;
    let led = 0;
    let moving = 0;
    for (const { active, number } of this.#core.views) {
      if (nameOf(number.leader) === name) led++;
      if (!active.some((id) => nameOf(id) === name)) continue;
      held++;
      if (active.length - 1 < wanted) moving++;
    }
    return { held, led, moving: held === 0 ? 0 : moving / held };
  }

  /** @throws BROKER_ERR_NODE_UNKNOWN, BROKER_ERR_NODE_LAST */
  #removable(name: string): MemberInfo {
    const member = this.#core.membership.get(name);
    if (!member) throw new BrokerError('BROKER_ERR_NODE_UNKNOWN', name);
    if (member.state === 'left' && shardsNeeding(this.#core.views, name) === 0)
      throw new BrokerError('BROKER_ERR_NODE_UNKNOWN', `${name} has left`);
    if (!this.#othersRemain(name)) throw new BrokerError('BROKER_ERR_NODE_LAST', name);
    return member;
  }

  #othersRemain(name: string): boolean {
    for (const m of this.#core.membership.members) if (m.name !== name && isUsable(m)) return true;
    return false;
  }

  #copiesWithout(name: string): { hosts: number; after: number } {
    const hosts = new Set<string>();
    for (const m of this.#core.membership.members)
      if (m.name !== name && isUsable(m)) hosts.add(m.meta.host);
    return { hosts: hosts.size, after: Math.min(this.#core.cluster.replicas, hosts.size) };
  }

  /** Copies possible without the member, and why to refuse. */
  #judge(member: MemberInfo): { after: number; breaks: boolean; refusal: string } {
    const { cluster, membership } = this.#core;
    const { hosts, after } = this.#copiesWithout(member.name);
    const wanted = copiesWanted(membership, cluster.replicas);
    const breaks = after < wanted;
    if (isDead(member)) return { after, breaks, refusal: deadNode(member.name) };
    const lacking = underReplicated(this.#core).length;
    if (breaks)
      return {
        after,
        breaks,
        refusal: `${count(hosts, 'host')} would remain for ${wanted} copies`,
      };
    if (lacking === 0) return { after, breaks, refusal: '' };
    const refusal = `${count(lacking, 'shard')} already ${lacking === 1 ? 'has' : 'have'} fewer copies than wanted; wait until \`shoal cluster status\` shows none`;
    return { after, breaks, refusal };
  }
}

function isDead({ state }: MemberInfo): boolean {
  return state === 'faulty';
}

function deadNode(name: string): string {
  return `${name} is dead and cannot be drained. The others make its copies anew by themselves and give its votes away after timings.replaceVoterAfterMs. If it is gone for good, --force does so at once`;
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
