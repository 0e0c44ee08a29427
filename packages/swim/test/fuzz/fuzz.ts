import assert from 'node:assert/strict';
import { Prng } from '../../src/sim/prng.ts';
import { type Corpus, captureCorpus } from './corpus.ts';
import { isOfCluster, Mutator } from './mutator.ts';
import { FuzzTarget } from './target.ts';

/** Of the number of packets, in {@link FuzzTarget.print}. */
const PACKETS_AT = 4;

/** What a run did. */
export interface FuzzResult {
  readonly inputs: number;
  readonly packets: number;
  readonly requests: number;
  readonly responses: number;
  /** Mutated messages of a member with the key: sealed, then changed. */
  readonly sealed: number;
  /** Datagrams in clear that were not of the cluster. */
  readonly foreign: number;
  /** Largest of each thing held, over all members fed. */
  readonly largest: Readonly<Record<string, number>>;
  /** Times that the members said something new of themselves, and doubted others: the fuzz bites. */
  readonly refutes: number;
  readonly suspicions: number;
}

/** Inputs that one member lives through. */
const INPUTS_PER_LIFE = 100_000;
const CHECK_EVERY = 256;
const NAMES = ['n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7', 'n8', 'n9', 'stranger'];
/** In the corpus too, so that there is much to refute. */
const OWN_NAME = 'n9';
const SEALED_SAMPLES = 300;

/**
 * Feeds members with mutated messages, in clear and sealed, and checks after each that nothing was
 * thrown, and again and again that everything held is within its bound.
 *
 * What fails authentication changes nothing at all; nor does, in clear, what is not of the cluster.
 * The members' keys come from the seed, their salts do not: everything else repeats.
 *
 * @throws AssertionError naming the life and the input
 */
export async function fuzz(options: { count: number; seed: string }): Promise<FuzzResult> {
  const prng = new Prng(options.seed);
  const corpus = captureCorpus(`${options.seed} corpus`);
  const result = {
    inputs: 0,
    packets: 0,
    requests: 0,
    responses: 0,
    sealed: 0,
    foreign: 0,
    largest: {} as Record<string, number>,
    refutes: 0,
    suspicions: 0,
  };
  for (let life = 0; result.inputs < options.count; life++) {
    const inputs = Math.min(INPUTS_PER_LIFE, options.count - result.inputs);
    // Every fourth is a joiner, which speaks to members only after an exchange.
    const clusterId = life % 4 === 3 ? '' : 'c';
    const target = await FuzzTarget.start(prng.fork(`core ${life}`), OWN_NAME, clusterId);
    const fed = new Life(target, corpus, prng.fork(`inputs ${life}`), result);
    for (let input = 0; input < inputs; input++) {
      try {
        fed.input();
        if (input % CHECK_EVERY === 0) target.checkBounds(result.largest);
      } catch (error) {
        throw new Error(`seed ${options.seed}, life ${life}, input ${input}`, { cause: error });
      }
    }
    result.inputs += inputs;
    result.refutes += target.swim.counters.refutes;
    result.suspicions += target.swim.counters.suspicions;
  }
  return result;
}

type Tally = { -readonly [Key in keyof FuzzResult]: FuzzResult[Key] } & {
  largest: Record<string, number>;
};

/** One member, and what it goes through. */
class Life {
  readonly #target: FuzzTarget;
  readonly #corpus: Corpus;
  readonly #prng: Prng;
  readonly #mutator: Mutator;
  readonly #tally: Tally;
  readonly #sealedPackets: readonly Uint8Array[];
  readonly #sealedRequests: readonly Uint8Array[];
  readonly #sealedAsMade: ReadonlySet<string>;

  constructor(target: FuzzTarget, corpus: Corpus, prng: Prng, tally: Tally) {
    this.#target = target;
    this.#corpus = corpus;
    this.#prng = prng;
    this.#mutator = new Mutator(prng, NAMES, OWN_NAME);
    this.#tally = tally;
    const sealed = (kind: 'datagram' | 'request', messages: readonly Uint8Array[]) =>
      messages.slice(0, SEALED_SAMPLES).map((message) => target.seal(kind, message));
    this.#sealedPackets = sealed('datagram', corpus.packets);
    this.#sealedRequests = sealed('request', corpus.requests);
    this.#sealedAsMade = new Set([...this.#sealedPackets, ...this.#sealedRequests].map(textOf));
  }

  input(): void {
    const target = this.#target;
    const prng = this.#prng;
    const { scheduler } = target;
    scheduler.runUntil(scheduler.nowMs + prng.next() * 2);
    const roll = prng.next();
    if (roll < 0.84) this.#packet();
    else if (roll < 0.92) this.#sealed();
    else if (roll < 0.96) this.#request();
    else this.#response();
  }

  #packet(): void {
    const target = this.#target;
    const tally = this.#tally;
    tally.packets++;
    const bytes = this.#mutator.mutate(this.#corpus.packets);
    if (isOfCluster(bytes, target.swim.clusterId) && target.swim.clusterId !== '') {
      target.packet(bytes);
      return;
    }
    tally.foreign++;
    const before = target.print();
    target.packet(bytes);
    this.#checkPrint(before, 1);
  }

  #request(): void {
    this.#tally.requests++;
    this.#target.request(this.#mutator.mutate(this.#corpus.requests));
  }

  #response(): void {
    const target = this.#target;
    const prng = this.#prng;
    this.#tally.responses++;
    const isKnown = target.openRequests.length > 0 && prng.chance(0.9);
    const at = prng.int(0, Math.max(0, target.openRequests.length - 1));
    const [known] = isKnown ? target.openRequests.splice(at, 1) : [];
    const bytes = prng.chance(0.3) ? null : this.#mutator.mutate(this.#corpus.responses);
    target.response(known ?? prng.int(0, 1_000_000), bytes);
  }

  #sealed(): void {
    const target = this.#target;
    const prng = this.#prng;
    this.#tally.sealed++;
    const before = target.print();
    const sentBefore = target.sealedOut;
    const kind = prng.int(0, 20);
    if (kind < 16) target.sealedPacket(this.#changed(this.#sealedPackets));
    else if (kind < 18) {
      assert.equal(target.sealedRequest(this.#changed(this.#sealedRequests)), null, 'answered');
    } else if (kind < 20) {
      assert.equal(target.sealedResponse(this.#changed(this.#sealedRequests)), null, 'opened');
    } else this.#sealedAsAnother();
    this.#checkPrint(before, 0);
    assert.equal(target.sealedOut, sentBefore, 'answered what is not authentic');
  }

  /** Authentic, but of another kind; or in clear. */
  #sealedAsAnother(): void {
    const target = this.#target;
    const prng = this.#prng;
    const corpus = this.#corpus;
    target.sealedPacket(prng.pick(this.#sealedRequests));
    assert.equal(target.sealedRequest(prng.pick(this.#sealedPackets)), null, 'answered');
    assert.equal(target.sealedResponse(prng.pick(this.#sealedPackets)), null, 'opened');
    target.sealedPacket(prng.pick(corpus.packets));
    assert.equal(target.sealedRequest(prng.pick(corpus.requests)), null, 'answered');
  }

  /** Nothing has changed since, but that so many packets came. */
  #checkPrint(before: readonly unknown[], packets: number): void {
    this.#target.print().forEach((value, at) => {
      const was = before[at];
      const expected = at === PACKETS_AT ? (was as number) + packets : was;
      if (value !== expected) assert.fail(`changed ${at}: ${String(was)} is now ${String(value)}`);
    });
  }

  #changed(messages: readonly Uint8Array[]): Uint8Array {
    for (;;) {
      const bytes = this.#mutator.mutateBytes(this.#prng.pick(messages), messages);
      if (!this.#sealedAsMade.has(textOf(bytes))) return bytes;
    }
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
