/**
 * Messages that sessions of this shard were given as members of groups, and left unsent when they ended: they go
 * back to the shards of their groups.
 *
 * The entry that ends a session makes the shard owe them; RETURNED says that the groups have them. A later
 * leader sends them anew under the same identities, and the groups' shards take none twice.
 */
import { Reader } from '../../bytes.ts';
import { shardOf } from '../../placement/hash.ts';
import { readOperation } from '../../session/operation.ts';
import { entryKey } from '../../shard/keys.ts';
import { readBack } from '../../shard/log.ts';
import { Status } from '../link/request.ts';
import type { Lead } from './parts.ts';

export class Returning {
  readonly #leader: Lead;
  #term = 0;
  #done: number[] = [];
  /** The group's queue was full: once more at the next tick. */
  #again: number[] = [];

  constructor(leader: Lead) {
    this.#leader = leader;
  }

  start(): void {
    for (const number of this.#leader.state.returned.byNumber.keys()) this.add(number);
  }

  stop(): void {
    this.#term++;
    this.#done = [];
    this.#again = [];
  }

  add(number: number): void {
    const term = this.#term;
    this.#leader.node.counters.sharedReturned++;
    this.#leader.afterCommit(() => {
      if (term === this.#term) this.#read(number);
    });
  }

  #read(number: number): void {
    const { state, replica, node, shard } = this.#leader;
    const back = state.returned.byNumber.get(number);
    if (!back) return;
    const entry = replica.log.get(back.messageIndex);
    if (entry) return this.#send(number, back.group, entry.operation);
    const term = this.#term;
    node.env.store.getMany([entryKey(shard, back.messageIndex)], ([value]) => {
      if (term !== this.#term) return;
      const read = value && readBack(value);
      if (read) this.#send(number, back.group, read.operation);
      else replica.corrupt('a message that goes back to its group cannot be read');
    });
  }

  #send(number: number, group: string, bytes: Uint8Array): void {
    const { operation } = readOperation(new Reader(bytes));
    if (operation.type !== 'enq') return;
    const { node, shard, state } = this.#leader;
    const { message } = operation;
    const rx2 = { shard: 2 * node.shardCount + shard, index: number, low: state.returned.low };
    const term = this.#term;
    node.router
      .channel(shardOf(`${group}\0${message.topic}`, node.shardCount))
      .send({ type: 'group', groups: [group], rx2, message }, ({ status }) => {
        if (term !== this.#term) return;
        if (status === Status.Ok) this.#done.push(number);
        else this.#again.push(number);
      });
  }

  tick(): void {
    for (const number of this.#again.splice(0)) this.#read(number);
    if (this.#done.length === 0) return;
    const numbers = this.#done;
    this.#done = [];
    this.#leader.appendOwn(() => ({ type: 'returned', numbers }));
  }
}
