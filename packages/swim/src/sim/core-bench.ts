import assert from 'node:assert/strict';
import { type SwimConfigInput, swimConfig } from '../config.ts';
import { decodeMessage, encodeMessage, encodeUpdate } from '../core/codec.ts';
import type { SwimEffect, SwimEvent } from '../core/event.ts';
import { type Body, type Message, SWIM_VERSIONS, type Update } from '../core/message.ts';
import { Swim } from '../core/swim.ts';
import { Prng } from './prng.ts';

/** Fit for counting in one's head; three members' shortest suspicion lasts 1.2 s. */
const ROUND_TIMINGS: SwimConfigInput = {
  fallbackProbe: false,
  protocolPeriodMs: 400,
  probeTimeoutMs: 200,
  suspicionMult: 3 / Math.log10(32),
  silenceMs: 0,
  suspicionMaxMult: 2,
  gossipIntervalMs: 100,
};

/** One core, and hands to play every other member by. */
export class CoreBench {
  readonly swim: Swim;
  nowMs = 1_000;
  /** What the core wanted since it was last asked. */
  effects: SwimEffect[] = [];
  #timers: { token: number; atMs: number }[] = [];

  constructor(config: SwimConfigInput = {}, clusterId = 'c') {
    const prng = new Prng('bench');
    this.swim = new Swim({
      config: swimConfig({ ...ROUND_TIMINGS, ...config }),
      name: 'me',
      bootEpoch: 10,
      clusterId,
      address: 'me:1',
      meta: Uint8Array.of(1),
      random: () => prng.next(),
    });
  }

  static started(config: SwimConfigInput = {}, clusterId = 'c'): CoreBench {
    const bench = new CoreBench(config, clusterId);
    bench.step({ type: 'start', seeds: [] });
    return bench;
  }

  step(event: SwimEvent): SwimEffect[] {
    const effects = this.swim.step(event, this.nowMs);
    for (const effect of effects) {
      if (effect.type === 'timer') {
        this.#timers.push({ token: effect.token, atMs: this.nowMs + effect.afterMs });
      }
    }
    this.effects.push(...effects);
    return effects;
  }

  /** Lets time pass, timers coming on time. */
  run(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    for (;;) {
      this.#timers.sort((x, y) => x.atMs - y.atMs);
      const next = this.#timers[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#timers.shift();
      this.nowMs = Math.max(this.nowMs, next.atMs);
      this.step({ type: 'timer', token: next.token });
    }
    this.nowMs = Math.max(this.nowMs, endMs);
  }

  /** Time passes and nothing runs: then everything due comes late, at once. */
  stall(durationMs: number): void {
    this.nowMs += durationMs;
    const late = this.#timers.filter((timer) => timer.atMs <= this.nowMs);
    this.#timers = this.#timers.filter((timer) => timer.atMs > this.nowMs);
    late.sort((x, y) => x.atMs - y.atMs);
    for (const { token } of late) this.step({ type: 'timer', token });
  }

  hear(
    name: string,
    body: Body,
    updates: readonly Update[] = [],
    header: { clusterId?: string; bootEpoch?: number } = {},
  ): SwimEffect[] {
    const { clusterId = 'c', bootEpoch = 1 } = header;
    const bytes = encodeMessage(
      { version: 1, clusterId, name, bootEpoch },
      body,
      updates.map(encodeUpdate),
    );
    return this.step({ type: 'packet', from: `${name}:1`, bytes });
  }

  /** Makes members known as alive. */
  meet(...names: string[]): void {
    for (const name of names) this.hear(name, { type: 'gossip' }, [about(name)]);
  }

  /** Messages sent since last asked; to one member, and of one type, if given. */
  sent(to?: string, type?: Body['type']): Message[] {
    const messages: Message[] = [];
    for (const effect of this.effects) {
      if (effect.type !== 'send' || (to !== undefined && effect.to !== `${to}:1`)) continue;
      const message = decodeMessage(effect.bytes);
      assert.ok(typeof message !== 'string');
      if (type === undefined || message.body.type === type) messages.push(message);
    }
    return messages;
  }

  forget(): void {
    this.effects = [];
  }

  state(name: string): string | undefined {
    const member = this.swim.members().find((each) => each.name === name);
    return member === undefined ? undefined : `${member.state}/${member.incarnation}`;
  }
}

/** A statement about a member, alive unless changed. */
export function about(name: string, changes: Partial<Update> = {}): Update {
  return {
    name,
    bootEpoch: 1,
    incarnation: 0,
    state: 'alive',
    address: `${name}:1`,
    meta: new Uint8Array(),
    unwell: false,
    versions: SWIM_VERSIONS,
    ageS: 0,
    accuser: '',
    ...changes,
  };
}

/** A ping of `target`, believed to be of that life. */
export function ping(target: string, seq = 7, targetBootEpoch = 10, targetIncarnation = 0): Body {
  return { type: 'ping', seq, digest: 0, target, targetBootEpoch, targetIncarnation };
}
