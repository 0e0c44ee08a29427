/**
 * Passwords: argon2id hashes, made and verified in the thread pool. Disk writes are done there too, so few at a
 * time.
 *
 * A password that was right once is known again without argon2, so that clients that come back by the thousand
 * are not held up: by an HMAC under a key that lives in this process alone.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { LRUCache } from 'lru-cache';

/** Passwords that are known again; beyond, the one not used for longest is forgotten. */
const KNOWN_MAX = 200_000;
/** Verifications at a time, at most: the thread pool has four threads. */
const AT_ONCE_MAX = 2;
/** Parameters that OWASP recommends for argon2id: memory in KiB, passes, lanes. */
const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

interface Waiting {
  readonly hash: string;
  readonly password: Uint8Array;
  readonly print: string;
  readonly done: (fits: boolean) => void;
}

export class Passwords {
  readonly #key = randomBytes(32);
  readonly #known = new LRUCache<string, true>({ max: KNOWN_MAX });
  readonly #waiting: Waiting[] = [];
  readonly #atOnce = Math.max(1, Math.min(AT_ONCE_MAX, availableParallelism() - 1));
  #underWay = 0;

  /** @param done never within this call; what waits is bounded by the caller */
  readonly verify = (hash: string, password: Uint8Array, done: (fits: boolean) => void): void => {
    const print = createHmac('sha256', this.#key)
      .update(hash)
      .update('\0')
      .update(password)
      .digest('base64');
    if (this.#known.get(print)) {
      setImmediate(done, true);
      return;
    }
    this.#waiting.push({ hash, password, print, done });
    this.#next();
  };

  #next(): void {
    while (this.#underWay < this.#atOnce) {
      const waiting = this.#waiting.shift();
      if (!waiting) return;
      this.#underWay++;
      void this.#check(waiting);
    }
  }

  async #check({ hash, password, print, done }: Waiting): Promise<void> {
    let fits = false;
    try {
      const { verify } = await import('@node-rs/argon2');
      fits = await verify(hash, password);
    } catch {
      // A hash that argon2 cannot read fits no password.
    }
    this.#underWay--;
    if (fits) this.#known.set(print, true);
    this.#next();
    done(fits);
  }
}

/** An argon2id hash in PHC form. */
export async function hashPassword(password: string): Promise<string> {
  const { hash } = await import('@node-rs/argon2');
  return hash(password, PARAMETERS);
}
