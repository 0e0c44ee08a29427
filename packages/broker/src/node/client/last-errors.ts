/** Why clients were refused or lost their connection last: for people who ask about one of them. */

/** Client Identifiers whose last error a node remembers; beyond, the oldest is forgotten. */
export const LAST_ERRORS_MAX = 1000;

/** Characters of a Client Identifier that is remembered. */
const CLIENT_ID_KEPT_MAX = 256;

export interface LastError {
  /** Wall-clock milliseconds. */
  readonly atMs: number;
  /** Name of the Reason Code; '' where there was none. */
  readonly reason: string;
  readonly why: string;
}

export class LastErrors {
  readonly #byClient = new Map<string, LastError>();

  get(clientId: string): LastError | null {
    return this.#byClient.get(clientId) ?? null;
  }

  /** Long Client Identifiers are left out: they would cost more than they tell. */
  add(clientId: string, error: LastError): void {
    if (clientId === '' || clientId.length > CLIENT_ID_KEPT_MAX) return;
    this.#byClient.delete(clientId);
    this.#byClient.set(clientId, error);
    if (this.#byClient.size <= LAST_ERRORS_MAX) return;
    const [oldest] = this.#byClient.keys();
    this.#byClient.delete(oldest!);
  }
}
