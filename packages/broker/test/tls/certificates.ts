/** Certificates for tests, made by openssl: an authority, and what it signs. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Paths of PEM files. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** A folder with an authority; it is removed by {@link Authority.remove}. */
export class Authority {
  readonly folder = mkdtempSync(join(tmpdir(), 'shoal-tls-'));
  readonly #own: KeyPair;
  #serial = 0;

  constructor() {
    this.#own = this.#paths('ca');
    const { cert, key } = this.#own;
    openssl('req', '-x509', ...NEW_KEY, '-keyout', key, '-out', cert, '-subj', '/CN=Test CA');
  }

  /** PEM file of its certificate, and the text. */
  get file(): string {
    return this.#own.cert;
  }

  get text(): string {
    return this.read(this.file);
  }

  read(file: string): string {
    return readFileSync(file, 'utf8');
  }

  /** @param names hosts of a server, as `DNS:a.example,IP:127.0.0.1`; none for a client */
  sign(name: string, names?: string): KeyPair {
    const { cert, key } = this.#paths(`${name}-${++this.#serial}`);
    const request = join(this.folder, 'request.pem');
    const extensions = join(this.folder, 'extensions');
    writeFileSync(extensions, names === undefined ? '' : `subjectAltName=${names}\n`);
    const subject = `/O=Example/CN=${name}`;
    openssl('req', ...NEW_KEY, '-keyout', key, '-out', request, '-subj', subject);
    const by = ['-CA', this.#own.cert, '-CAkey', this.#own.key, '-CAcreateserial'];
    openssl('x509', '-req', '-in', request, '-out', cert, ...by, '-extfile', extensions);
    return { cert, key };
  }

  #paths(name: string): KeyPair {
    return { cert: join(this.folder, `${name}.pem`), key: join(this.folder, `${name}.key`) };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'] as const;

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
