import { Swim, type SwimConfig, type SwimEvent } from '@shoal/swim';
import { type Prng, type RunnerHost, type Scheduler, SwimRunner } from '@shoal/swim/sim';
import { hostOf } from '../process/member-meta.ts';
import type { ProcessCore } from '../process/process-core.ts';
import type { ProcessMembership } from '../process/process-port.ts';
import type { CoreUnderTest } from './core-port.ts';
import { addressOf, nameOf } from './member.ts';
import type { SimNetwork } from './network.ts';
import type { Transcript } from './transcript.ts';

/** The process that takes part in membership. */
export interface MembershipHost {
  readonly name: string;
  readonly bootEpoch: number;
  readonly membership: SimMembership | undefined;
  readonly policy: ProcessCore | undefined;
  readonly core: CoreUnderTest | undefined;
  nowMs(): number;
  run(fn: () => void): void;
}

/** What membership needs of the simulated world. */
export interface MembershipEnv {
  readonly scheduler: Scheduler;
  readonly random: Prng;
  readonly network: SimNetwork;
  readonly transcript: Transcript;
  /** The process that listens at a cluster address now. */
  processAt(address: string): MembershipHost | undefined;
}

/** SWIM in one simulated process: feeds the core what happens, and performs what it wants. */
export class SimMembership implements ProcessMembership {
  readonly #env: MembershipEnv;
  readonly #host: MembershipHost;
  readonly #swim: Swim;
  readonly #runner: SwimRunner;
  #left: () => void = () => {};

  constructor(
    env: MembershipEnv,
    host: MembershipHost,
    options: { readonly config: SwimConfig; readonly clusterId: string; readonly meta: Uint8Array },
  ) {
    const { config, clusterId, meta } = options;
    this.#env = env;
    this.#host = host;
    this.#swim = new Swim({
      config,
      name: host.name,
      bootEpoch: host.bootEpoch,
      clusterId,
      address: addressOf(host.name),
      meta,
      random: () => env.random.next(),
      hostOf,
    });
    this.#runner = new SwimRunner({
      swim: this.#swim,
      transport: {
        send: (to, bytes) => this.#send(to, bytes),
        request: (to, bytes, timeoutMs, done) => this.#request(to, bytes, timeoutMs, done),
      },
      streamTimeoutMs: config.streamTimeoutMs,
      host: this.#runnerHost(),
    });
  }

  start(seeds: readonly string[]): void {
    this.#step({ type: 'start', seeds });
  }

  get clusterId(): string {
    return this.#swim.clusterId;
  }

  members(): ReturnType<Swim['members']> {
    return this.#swim.members();
  }

  stableView(): ReturnType<Swim['view']> {
    return this.#swim.view();
  }

  setMeta(meta: Uint8Array): void {
    this.#step({ type: 'set-meta', meta });
  }

  setUnwell(unwell: boolean): void {
    this.#step({ type: 'set-unwell', unwell });
  }

  leave(done: () => void): void {
    this.#left = done;
    this.#step({ type: 'leave' });
  }

  probeNow(name: string): void {
    this.#step({ type: 'probe-now', name });
  }

  forceLeave(name: string): void {
    this.#step({ type: 'force-leave', name });
  }

  #step(event: SwimEvent): void {
    this.#runner.step(event);
  }

  /** Membership in turns of this process. */
  #runnerHost(): RunnerHost {
    const host = this.#host;
    return {
      nowMs: () => host.nowMs(),
      take: (event) => this.#step(event),
      setTimer: (token, afterMs) =>
        this.#env.scheduler.after(afterMs, () =>
          host.run(() => this.#step({ type: 'timer', token })),
        ),
      onMembers: () => host.policy?.onMembers(),
      onView: ({ number }) => host.policy?.onStableView(number),
      onNotice: (code, address) => host.policy?.onNotice(code, address),
      onClusterId: (clusterId) => {
        this.#env.transcript.note(host.name, `learned cluster ${clusterId}`);
        host.core?.joining.onClusterId(clusterId);
      },
      onBootEpoch: (bootEpoch) => host.core?.lineage?.outlive(bootEpoch, () => {}),
      onLeft: () => this.#left(),
    };
  }

  #send(to: string, packet: Uint8Array): void {
    const { name } = this.#host;
    this.#env.network.datagram(name, nameOf(to), packet, (bytes) => {
      const peer = this.#env.processAt(to);
      peer?.run(() => peer.membership?.receive(addressOf(name), bytes));
    });
  }

  receive(from: string, bytes: Uint8Array): void {
    this.#step({ type: 'packet', from, bytes });
  }

  #request(
    to: string,
    bytes: Uint8Array,
    timeoutMs: number,
    done: (answer: Uint8Array | null) => void,
  ): void {
    const host = this.#host;
    this.#env.network.request(
      host.name,
      nameOf(to),
      timeoutMs,
      (respond) => {
        const peer = this.#env.processAt(to);
        if (peer?.membership === undefined) return false;
        peer.run(() => peer.membership?.answer(addressOf(host.name), bytes, respond));
        return true;
      },
      (answer) => host.run(() => done(answer)),
    );
  }

  answer(from: string, bytes: Uint8Array, respond: (bytes: Uint8Array) => void): void {
    this.#runner.request(from, bytes, (answer) => {
      if (answer !== null) respond(answer);
    });
  }
}
