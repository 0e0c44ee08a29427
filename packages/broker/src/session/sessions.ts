/**
 * Sessions of a shard by Client Identifier; those with a long one also by their birth, which no other of
 * the shard has: so log entries name them.
 */

import { isLong, type Recipient } from './recipient.ts';
import type { Session } from './session.ts';

export class Sessions extends Map<string, Session> {
  readonly #byBirth = new Map<number, Session>();

  override set(clientId: string, s: Session): this {
    const before = this.get(clientId);
    if (before) this.#byBirth.delete(before.birth);
    if (isLong(clientId)) this.#byBirth.set(s.birth, s);
    return super.set(clientId, s);
  }

  override delete(clientId: string): boolean {
    const s = this.get(clientId);
    if (s) this.#byBirth.delete(s.birth);
    return super.delete(clientId);
  }

  override clear(): void {
    this.#byBirth.clear();
    super.clear();
  }

  /** The session that is meant, unless it has ended. */
  of({ clientId, birth }: Pick<Recipient, 'clientId' | 'birth'>): Session | undefined {
    const s = clientId === '' ? this.#byBirth.get(birth) : this.get(clientId);
    return s?.birth === birth ? s : undefined;
  }
}
