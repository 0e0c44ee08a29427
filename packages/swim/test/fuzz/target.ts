import assert from 'node:assert/strict';
import { type SwimConfig, swimConfig } from '../../src/config.ts';
import type { SwimEvent } from '../../src/core/event.ts';
import { Swim } from '../../src/core/swim.ts';
import { STREAMS_MAX } from '../../src/core/sync.ts';
import { SecureTransport } from '../../src/runtime/secure-transport.ts';
import { Keyring } from '../../src/security/keyring.ts';
import { Sealer } from '../../src/security/sealer.ts';
import type { Prng } from '../../src/sim/prng.ts';
import { Scheduler } from '../../src/sim/scheduler.ts';
import type { RequestDone, Transport, TransportOptions } from '../../src/transport.ts';

/** Small bounds, so that they are met. */
const CONFIG = swimConfig({
  membersMax: 200,
  updatesMax: 64,
  probesMax: 16,
  eventsMax: 32,
  eventRateMax: 100,
  streamBytesMax: 64 * 1024,
});

/** Timers of the core that do not belong to a member or a probe: period, gossip, sync and the like. */
const FIXED_TIMERS_MAX = 8;

/** A member that is fed from outside: its core, its timers, and its sealed transport. */
export class FuzzTarget {
  readonly name: string;
  readonly swim: Swim;
  readonly config: SwimConfig = CONFIG;
  /** Requests of the core without an answer. */
  readonly openRequests: number[] = [];
  readonly scheduler = new Scheduler();
  /** Packets and answers that the sealed transport has let out. */
  sealedOut = 0;
  readonly #key: Uint8Array;
  #secure: SecureTransport | undefined;
  #handlers: TransportOptions | undefined;
  #sealer: Sealer | undefined;
  #answer: ((bytes: Uint8Array | null) => void) | undefined;
  #lastStreamId = 0;

  private constructor(prng: Prng, name: string, clusterId: string) {
    this.name = name;
    this.#key = Uint8Array.from({ length: 32 }, () => prng.int(0, 255));
    this.swim = new Swim({
      config: CONFIG,
      name,
      bootEpoch: 1,
      clusterId,
      address: `${name}:7000`,
      meta: Uint8Array.of(1),
      random: () => prng.next(),
    });
    this.step({ type: 'start', seeds: clusterId === '' ? ['n1:7000'] : [] });
  }

  /** @param clusterId empty for a joiner */
  static async start(prng: Prng, name: string, clusterId: string): Promise<FuzzTarget> {
    const target = new FuzzTarget(prng, name, clusterId);
    await target.#openSealed();
    return target;
  }

  step(event: SwimEvent): void {
    for (const effect of this.swim.step(event, this.scheduler.nowMs)) {
      if (effect.type === 'timer') {
        const { token } = effect;
        this.scheduler.after(effect.afterMs, () => this.step({ type: 'timer', token }));
      } else if (effect.type === 'stream-open') this.openRequests.push(effect.requestId);
    }
  }

  packet(bytes: Uint8Array): void {
    this.step({ type: 'packet', from: 'somewhere:1', bytes });
  }

  request(bytes: Uint8Array): void {
    this.#lastStreamId++;
    this.step({ type: 'stream-request', streamId: this.#lastStreamId, from: 'somewhere:1', bytes });
  }

  response(requestId: number, bytes: Uint8Array | null): void {
    this.step({ type: 'stream-response', requestId, bytes });
  }

  /** As a member with the key seals it. */
  seal(kind: 'datagram' | 'request', message: Uint8Array): Uint8Array {
    return (this.#sealer as Sealer).seal(kind, message);
  }

  sealedPacket(bytes: Uint8Array): void {
    this.#handlers?.onPacket('somewhere:1', bytes);
  }

  /** @returns the answer; null if the stream was closed without one */
  sealedRequest(bytes: Uint8Array): Uint8Array | null | undefined {
    const handlers = this.#handlers;
    const head = handlers?.requestHead;
    if (head?.admit(bytes.subarray(0, head.bytes), 'somewhere:1') === false) return null;
    let answer: Uint8Array | null | undefined;
    handlers?.onRequest('somewhere:1', bytes, (given) => {
      answer = given;
    });
    return answer;
  }

  /** @returns what becomes of this as the answer to a request of ours */
  sealedResponse(bytes: Uint8Array): Uint8Array | null | undefined {
    let opened: Uint8Array | null | undefined;
    this.#secure?.request('n1:7000', Uint8Array.of(1), 1_000, (given) => {
      opened = given;
    });
    this.#answer?.(bytes);
    return opened;
  }

  /** Equal as long as nothing has changed that is not a counter of messages. */
  print(): readonly unknown[] {
    const { swim } = this;
    // Both lists are other objects after any change.
    const { names } = swim.view();
    const { packetsIn } = swim.counters;
    return [swim.members(), names, swim.clusterId, swim.localHealth, packetsIn, ...this.#held()];
  }

  /** What is held, within its bounds; notes the most. */
  checkBounds(largest: Record<string, number>): void {
    const { membersMax, updatesMax, probesMax, eventsMax } = CONFIG;
    const sizes = this.swim.sizes();
    const bounds: Record<keyof typeof sizes, number> = {
      members: membersMax,
      suspicions: membersMax,
      claims: membersMax,
      pauses: membersMax,
      updates: updatesMax,
      events: eventsMax,
      eventsKept: eventsMax,
      eventOrigins: membersMax,
      viewEntries: membersMax,
      probes: probesMax,
      helps: probesMax,
      streams: STREAMS_MAX,
      timers: FIXED_TIMERS_MAX + membersMax + 2 * probesMax,
      notices: 256,
    };
    for (const [what, size] of Object.entries(sizes)) {
      assert.ok(size <= (bounds[what] as number), `${size} ${what}`);
      largest[what] = Math.max(size, largest[what] ?? 0);
    }
    const { name } = this;
    const self = this.swim.member(name);
    assert.ok(self?.state === 'alive' && self.bootEpoch === 1, 'the own member');
    assert.ok(self.incarnation <= 0xffff_ffff, 'the own incarnation');
    assert.ok(this.swim.view().names.includes(name), 'the own view');
  }

  #held(): readonly number[] {
    return Object.values(this.swim.sizes());
  }

  async #openSealed(): Promise<void> {
    const keyring = Keyring.of([this.#key]);
    const { clusterId } = this.swim;
    this.#sealer = new Sealer({ keyring, clusterId, sendersMax: 64 });
    this.#secure = await SecureTransport.open(
      async (options) => {
        this.#handlers = options;
        return this.#inner();
      },
      {
        keyring,
        encryption: 'required',
        clusterId,
        sendersMax: 64,
        origin: 'a 1',
        onRefused: () => {},
        onKeyring: async () => new Uint8Array(),
      },
      {
        listen: 'me:7000',
        streamBytesMax: CONFIG.streamBytesMax,
        streamTimeoutMs: CONFIG.streamTimeoutMs,
        onPacket: (_from, bytes) => this.packet(bytes),
        onRequest: (_from, bytes) => this.request(bytes),
      },
    );
  }

  #inner(): Transport {
    return {
      address: 'me:7000',
      failed: 0,
      send: () => {
        this.sealedOut++;
      },
      request: (_to: string, _bytes: Uint8Array, _timeoutMs: number, done: RequestDone) => {
        this.#answer = done;
      },
      close: async () => {},
    };
  }
}
