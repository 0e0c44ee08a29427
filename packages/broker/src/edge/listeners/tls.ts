/** TLS between a socket and what is spoken on it. */
import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { ClientCertificate, Log } from '../../ports.ts';
import type { StreamKind } from './byte-stream.ts';
import { CertificateFiles, type Certificates, type TlsSettings } from './certificates.ts';
import type { Layer, Opening } from './openings.ts';

/** Time between two looks at the certificate files. */
const CERTIFICATE_CHECK_MS = 10_000;

/** TLS copies what it is given into records at once, and tells a pass of the event loop later that they left. */
export const TLS_STREAM: StreamKind = { answersWrites: true, copies: true };

export interface TlsLayerOptions {
  /** Of the listener, for the log. */
  readonly name: string;
  readonly settings: TlsSettings;
  /** Protocols offered to a client that names some: it has to share one. */
  readonly protocols: readonly string[];
  readonly handshakeTimeoutMs?: number;
  readonly log: Log;
}

/**
 * A TLS server without a port: it is handed sockets, and gives back secure ones.
 *
 * New certificates are for handshakes to come; a connection keeps what it began with.
 */
export class TlsLayer {
  readonly #files: CertificateFiles;
  readonly #settings: TlsSettings;
  readonly #server: Server;
  readonly #watch: NodeJS.Timeout;
  /** By raw socket, while the handshake goes on. */
  readonly #openings = new WeakMap<Socket, { opening: Opening; next: (o: Opening) => void }>();
  #certificates: Certificates;

  private constructor(
    { settings, protocols, handshakeTimeoutMs = 10_000 }: TlsLayerOptions,
    files: CertificateFiles,
    certificates: Certificates,
  ) {
    this.#settings = settings;
    this.#files = files;
    this.#certificates = certificates;
    this.#server = createServer({
      ...certificates.options,
      ALPNProtocols: [...protocols],
      SNICallback: (host, answer) => answer(null, this.#certificates.forName(host)),
      requestCert: settings.clientCertificate !== 'none',
      rejectUnauthorized: settings.clientCertificate === 'required',
      // The listener's own deadline comes first, and names the setting.
      handshakeTimeout: handshakeTimeoutMs + 1000,
    });
    this.#server.on('secureConnection', (socket) => this.#onSecure(socket));
    this.#server.on('tlsClientError', (error, socket) => this.#onError(error, socket));
    this.#watch = setInterval(() => this.reload(), CERTIFICATE_CHECK_MS);
    this.#watch.unref();
  }

  /** @throws BrokerError BROKER_ERR_TLS_FILE, naming the file and what is wrong with it */
  static async start(options: TlsLayerOptions): Promise<TlsLayer> {
    const files = new CertificateFiles(options.name, options.settings, options.log);
    return new TlsLayer(options, files, await files.read());
  }

  readonly layer: Layer = (opening, next) => {
    this.#openings.set(opening.socket, { opening, next });
    // A client that leaves within the handshake is gone; only later it may still wait for answers.
    opening.socket.allowHalfOpen = false;
    this.#server.emit('connection', opening.socket);
  };

  /** Looks whether the files have changed. */
  async reload(): Promise<void> {
    const certificates = await this.#files.readAgain();
    if (certificates === null) return;
    this.#certificates = certificates;
    this.#server.setSecureContext(certificates.options);
  }

  close(): void {
    clearInterval(this.#watch);
  }

  #onSecure(socket: TLSSocket): void {
    const found = this.#take(socket);
    if (found === undefined) {
      socket.destroy();
      return;
    }
    const { opening, next } = found;
    // What was asked for and is not signed by an authority of the listener says nothing.
    if (socket.authorized) opening.certificate = shownCertificate(socket);
    socket.on('error', () => {});
    socket.allowHalfOpen = true;
    opening.socket = socket;
    next(opening);
  }

  #onError(error: Error, socket: TLSSocket): void {
    const why = (error as NodeJS.ErrnoException).code ?? error.message;
    this.#take(socket)?.opening.fail(`TLS handshake failed: ${why}`);
    socket.destroy();
  }

  /** Node.js keeps the raw socket as `_parent`, which it does not document; tests would tell of its end. */
  #take(socket: TLSSocket) {
    const raw = (socket as TLSSocket & { _parent?: Socket })._parent;
    return raw && this.#openings.get(raw);
  }
}

function shownCertificate(socket: TLSSocket): ClientCertificate | undefined {
  const certificate: X509Certificate | undefined = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  const subject = certificate.subject.split('\n').reverse().join(',');
  const fingerprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase();
  return { subject, fingerprint };
}
