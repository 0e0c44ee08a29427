/**
 * Passwords: argon2id hashes, made and verified in the thread pool. Disk writes are done there too, so few at a
 * time.
 *
 * A password that was right once is known again without argon2, so that clients that come back by the thousand
 * are not held up: by its print, an HMAC under a key that is in the memory of the cluster's nodes and on no disk.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { LRUCache } from 'lru-cache';
import { type PasswordVerifier, PRINT_BYTES } from '../../ports.ts';

/** Passwords that are known again; beyond, the one not used for longest is forgotten. */
const KNOWN_MAX = 200_000;
/** Prints for other nodes that wait to be taken. */
const NEWS_MAX = 10_000;
/** Verifications at a time, at most: the thread pool has four threads. */
const AT_ONCE_MAX = 2;
/** Parameters that OWASP recommends for argon2id: memory in KiB, passes, lanes. */
const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

interface Waiting {
  readonly hash: string;
  readonly password: Uint8Array;
  readonly done: (fits: boolean) => void;
}

export class Passwords implements PasswordVerifier {
  #key = randomBytes(PRINT_BYTES) as Uint8Array;
  readonly #known = new LRUCache<string, true>({ max: KNOWN_MAX });
  #news: Uint8Array[] = [];
  readonly #waiting: Waiting[] = [];
  readonly #atOnce = Math.max(1, Math.min(AT_ONCE_MAX, availableParallelism() - 1));
  #underWay = 0;

  get key(): Uint8Array {
    return this.#key;
  }

  /** What was known under the key before is forgotten. */
  useKey(key: Uint8Array): void {
    this.#key = Uint8Array.from(key);
    this.#known.clear();
    this.#news = [];
  }

  learn(prints: Uint8Array): void {
    for (let at = 0; at + PRINT_BYTES <= prints.length; at += PRINT_BYTES)
      this.#known.set(nameOf(prints.subarray(at, at + PRINT_BYTES)), true);
  }

  takePrints(): Uint8Array {
    return this.#news.length === 0 ? new Uint8Array(0) : Buffer.concat(this.#news.splice(0));
  }

  verify(hash: string, password: Uint8Array, done: (fits: boolean) => void): void {
    if (this.#known.get(nameOf(this.#print(hash, password)))) {
      setImmediate(done, true);
      return;
    }
    this.#waiting.push({ hash, password, done });
    this.#next();
  }

  #print(hash: string, password: Uint8Array): Uint8Array {
    return createHmac('sha256', this.#key).update(hash).update('\0').update(password).digest();
  }

  #next(): void {
    while (this.#underWay < this.#atOnce) {
      const waiting = this.#waiting.shift();
      if (!waiting) return;
      this.#underWay++;
      void this.#check(waiting);
    }
  }

  async #check({ hash, password, done }: Waiting): Promise<void> {
    let fits = false;
    try {
      const { verify } = await import('@node-rs/argon2');
      fits = await verify(hash, password);
    } catch {
      // A hash that argon2 cannot read fits no password.
    }
    this.#underWay--;
    if (fits) this.#remember(this.#print(hash, password));
    this.#next();
    done(fits);
  }

  #remember(print: Uint8Array): void {
    this.#known.set(nameOf(print), true);
    if (this.#news.length < NEWS_MAX) this.#news.push(print);
  }
}

function nameOf(print: Uint8Array): string {
  return Buffer.from(print.buffer, print.byteOffset, print.byteLength).toString('latin1');
}

/** An argon2id hash in PHC form. */
export async function hashPassword(password: string): Promise<string> {
  const { hash } = await import('@node-rs/argon2');
  return hash(password, PARAMETERS);
}
