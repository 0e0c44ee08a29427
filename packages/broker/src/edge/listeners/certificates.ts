/** The certificates of a listener: read from files, checked, and read again when they have changed. */
import { createPrivateKey, constants as crypto, X509Certificate } from 'node:crypto';
import { constants, open } from 'node:fs/promises';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { BrokerError } from '../../errors.ts';
import type { Log } from '../../ports.ts';

/** Where a listener's certificates are, and what it asks of clients. */
export interface TlsSettings {
  /** PEM files, each a certificate and the chain above it; the first is for clients that name no other host. */
  readonly cert: readonly string[];
  /** PEM files, one for each of `cert`. */
  readonly key: readonly string[];
  /** PEM file of the authorities that sign certificates of clients. */
  readonly clientCa?: string | undefined;
  readonly clientCertificate: 'none' | 'optional' | 'required';
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
}

/** Bytes of one certificate file or key file. */
const TLS_FILE_BYTES_MAX = 1_048_576;

const DAY_MS = 86_400_000;

/** Days before the end of a certificate from which on the log warns at each reading. */
const EXPIRY_WARNING_DAYS = 14;

interface Certificate {
  readonly context: SecureContext;
  readonly leaf: X509Certificate;
}

/** The certificates of one reading. */
export class Certificates {
  /** For the default context of a TLS server. */
  readonly options: SecureContextOptions;
  readonly #certificates: readonly Certificate[];

  private constructor(
    options: SecureContextOptions,
    certificates: readonly Certificate[],
    log: (level: 'info' | 'warn', message: string, fields: Record<string, unknown>) => void,
  ) {
    this.options = options;
    this.#certificates = certificates;
    for (const { leaf } of certificates) {
      const { subjectAltName: names, validTo, fingerprint256: fingerprint } = leaf;
      const leftMs = Date.parse(validTo) - Date.now();
      const fields = { names, validTo, fingerprint };
      if (leftMs < 0) log('warn', 'certificate has expired: clients will refuse it', fields);
      else if (leftMs < EXPIRY_WARNING_DAYS * DAY_MS)
        log('warn', 'certificate expires soon', fields);
      else log('info', 'certificate in use', fields);
    }
  }

  /** Of several, the one that a client means by the host that it names; undefined for the first. */
  forName(host: string): SecureContext | undefined {
    return this.#certificates.find(({ leaf }) => leaf.checkHost(host) !== undefined)?.context;
  }

  /** @throws BrokerError BROKER_ERR_TLS_FILE, naming the file and what is wrong with it */
  static from(
    settings: TlsSettings,
    texts: ReadonlyMap<string, string>,
    log: (level: 'info' | 'warn', message: string, fields: Record<string, unknown>) => void,
  ): Certificates {
    const { clientCa, minVersion } = settings;
    const common: SecureContextOptions = {
      minVersion,
      // Renegotiation (TLS 1.2) costs the server more than the client, and MQTT has no use for it.
      secureOptions: crypto.SSL_OP_NO_RENEGOTIATION,
      ...(clientCa === undefined ? {} : { ca: texts.get(clientCa)! }),
    };
    if (clientCa !== undefined) readLeaf(clientCa, texts);
    const pairs = settings.cert.map((certFile, i) => {
      const keyFile = settings.key[i]!;
      const leaf = readLeaf(certFile, texts);
      checkKey(keyFile, texts, leaf, certFile);
      return { leaf, options: { ...common, cert: texts.get(certFile)!, key: texts.get(keyFile)! } };
    });
    try {
      const certificates = pairs.map(({ leaf, options }) => ({
        leaf,
        context: createSecureContext(options),
      }));
      return new Certificates(pairs[0]!.options, certificates, log);
    } catch (cause) {
      const text = `${settings.cert.join(', ')}: ${(cause as Error).message}`;
      throw new BrokerError('BROKER_ERR_TLS_FILE', text, { cause });
    }
  }
}

function readLeaf(file: string, texts: ReadonlyMap<string, string>): X509Certificate {
  try {
    return new X509Certificate(texts.get(file)!);
  } catch (cause) {
    const text = `${file} holds no PEM certificate`;
    throw new BrokerError('BROKER_ERR_TLS_FILE', text, { cause });
  }
}

function checkKey(
  file: string,
  texts: ReadonlyMap<string, string>,
  leaf: X509Certificate,
  certFile: string,
): void {
  let matches: boolean;
  try {
    matches = leaf.checkPrivateKey(createPrivateKey(texts.get(file)!));
  } catch (cause) {
    const text = `${file} holds no PEM private key without a passphrase`;
    throw new BrokerError('BROKER_ERR_TLS_FILE', text, { cause });
  }
  if (!matches)
    throw new BrokerError('BROKER_ERR_TLS_FILE', `${file} is not the key of ${certFile}`);
}

/** The files of a listener, and what they held when they were last used. */
export class CertificateFiles {
  readonly #settings: TlsSettings;
  readonly #name: string;
  readonly #log: Log;
  /** As read last, good or bad: a bad file is reported once. */
  #seen = '';
  #reading: Promise<Certificates | null> | null = null;
  /** The reading behind that: one for all who ask meanwhile. */
  #next: Promise<Certificates | null> | null = null;

  constructor(name: string, settings: TlsSettings, log: Log) {
    this.#settings = settings;
    this.#name = name;
    this.#log = log;
  }

  /** @throws BrokerError BROKER_ERR_TLS_FILE, naming the file */
  async read(): Promise<Certificates> {
    const certificates = await this.#ifChanged();
    if (certificates === null) throw new BrokerError('BROKER_ERR_INTERNAL', 'certificates');
    return certificates;
  }

  /** What the files hold if that is new and good; else null, and a log line where it is bad. */
  async readAgain(): Promise<Certificates | null> {
    // What was asked for while a reading went on may be newer than what that has read.
    if (this.#reading !== null) {
      this.#next ??= this.#reading.then(() => {
        this.#next = null;
        return this.readAgain();
      });
      return await this.#next;
    }
    this.#reading = this.#ifChanged()
      .catch((error: Error) => {
        const fields = { listener: this.#name, why: error.message };
        const text = 'new certificate cannot be used, the listener goes on with the old one';
        this.#log('error', text, fields);
        return null;
      })
      .finally(() => {
        this.#reading = null;
      });
    return await this.#reading;
  }

  /** Files that are replaced while they are read may not fit together: bad ones are read a second time. */
  async #ifChanged(): Promise<Certificates | null> {
    try {
      return await this.#readOnce();
    } catch (error) {
      const again = await this.#readOnce();
      if (again === null) throw error;
      return again;
    }
  }

  async #readOnce(): Promise<Certificates | null> {
    const { cert, key, clientCa } = this.#settings;
    const files = [...cert, ...key, ...(clientCa === undefined ? [] : [clientCa])];
    const texts = new Map<string, string>();
    let failed: BrokerError | undefined;
    for (const file of files) {
      const text = await readText(file);
      if (typeof text === 'string') texts.set(file, text);
      else failed ??= text;
    }
    const seen = failed?.message ?? JSON.stringify([...texts]);
    if (seen === this.#seen) return null;
    this.#seen = seen;
    if (failed !== undefined) throw failed;
    const log = (level: 'info' | 'warn', message: string, fields: Record<string, unknown>) =>
      this.#log(level, message, { listener: this.#name, ...fields });
    return Certificates.from(this.#settings, texts, log);
  }
}

async function readText(file: string): Promise<string | BrokerError> {
  try {
    // A pipe without a writer would hold up the open, and with one the read.
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = await handle.stat();
      if (!stat.isFile())
        return new BrokerError('BROKER_ERR_TLS_FILE', `${file} is not a regular file`);
      if (stat.size > TLS_FILE_BYTES_MAX)
        return new BrokerError('BROKER_ERR_TLS_FILE', `${file} is larger than 1 MiB`);
      return (await handle.readFile()).toString('latin1');
    } finally {
      await handle.close();
    }
  } catch (cause) {
    const why = String((cause as NodeJS.ErrnoException).code);
    return new BrokerError('BROKER_ERR_TLS_FILE', `${file} cannot be read (${why})`, { cause });
  }
}
