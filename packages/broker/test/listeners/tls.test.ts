import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { BrokerError } from '../../src/errors.ts';
import { Authority, type KeyPair } from '../tls/certificates.ts';
import { ListenerBench, until } from './bench.ts';

describe('TLS listener', function () {
  this.timeout(10_000);
  const authority = new Authority();
  const server = authority.sign('server', 'DNS:localhost,IP:127.0.0.1');
  const ca = authority.text;
  after(() => authority.remove());

  let bench: ListenerBench;
  beforeEach(() => {
    bench = new ListenerBench();
  });
  afterEach(() => bench.stop());

  const tls = ({ cert, key }: KeyPair = server) =>
    ({ transport: 'tls', cert: [cert], key: [key] }) as const;

  const client = (options: ConnectionOptions = {}): TLSSocket =>
    bench.keep(connect({ host: '127.0.0.1', port: bench.port, ca, ...options }));

  /** Sends, and resolves with the answer: the handshake is over at both ends. */
  const isServed = async (socket: TLSSocket): Promise<boolean> => {
    socket.write('hello');
    return await Promise.race([
      once(socket, 'data').then(([chunk]) => String(chunk) === 'hello'),
      once(socket, 'close').then(() => false),
    ]).catch(() => false);
  };

  /** Serial number of the certificate that a new client is shown. */
  const serialShown = async (options: ConnectionOptions = {}): Promise<string> => {
    const socket = client(options);
    await once(socket, 'secureConnect');
    return socket.getPeerCertificate().serialNumber;
  };

  it('chooses the certificate by the host that the client names, the first by default', async () => {
    const [a, b, wild] = [
      authority.sign('a', 'DNS:a.example,IP:127.0.0.1'),
      authority.sign('b', 'DNS:b.example'),
      authority.sign('wild', 'DNS:*.c.example'),
    ];
    const pairs = [a, b, wild];
    const cert = pairs.map((pair) => pair.cert);
    await bench.start({ transport: 'tls', cert, key: pairs.map((pair) => pair.key) });
    const shown = async (servername?: string) => {
      const socket = client({
        ...(servername === undefined ? {} : { servername }),
        checkServerIdentity: () => undefined,
      });
      await once(socket, 'secureConnect');
      return socket.getPeerCertificate().subject.CN;
    };
    assert.equal(await shown(), 'a');
    assert.equal(await shown('a.example'), 'a');
    assert.equal(await shown('b.example'), 'b');
    assert.equal(await shown('x.c.example'), 'wild');
    assert.equal(await shown('unknown.example'), 'a');
  });

  it('speaks mqtt by ALPN, and refuses a client that offers something else', async () => {
    await bench.start(tls());
    const named = client({ ALPNProtocols: ['other', 'mqtt'] });
    assert.equal(await isServed(named), true);
    assert.equal(named.alpnProtocol, 'mqtt');
    assert.equal(await isServed(client()), true);
    assert.equal(await isServed(client({ ALPNProtocols: ['h2'] })), false);
    await until(() => bench.counters.handshakesFailed === 1);
    assert.match(bench.log.at(-1)!, /^warn a connection ended before MQTT .*TLS handshake failed/);
  });

  it('takes TLS 1.2 and above, or 1.3 only', async () => {
    await bench.start(tls());
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' } as const;
    assert.equal(await isServed(client(old)), false);
    const twelve = client({ maxVersion: 'TLSv1.2' });
    assert.equal(await isServed(twelve), true);
    assert.equal(twelve.getProtocol(), 'TLSv1.2');
    await bench.stop();
    await bench.start({ ...tls(), minVersion: 'TLSv1.3' });
    assert.equal(await isServed(client({ maxVersion: 'TLSv1.2' })), false);
    assert.equal(await isServed(client()), true);
  });

  it('does not renegotiate', async () => {
    await bench.start(tls());
    const socket = client({ maxVersion: 'TLSv1.2' });
    assert.equal(await isServed(socket), true);
    const refused = Promise.withResolvers<void>();
    socket.on('error', () => refused.resolve());
    socket.on('close', () => refused.resolve());
    socket.renegotiate({}, (error) => {
      if (error) refused.resolve();
      else refused.reject(new Error('renegotiated'));
    });
    await refused.promise;
  });

  for (const clientCertificate of ['required', 'optional'] as const) {
    it(`keeps the subject of a client certificate that is ${clientCertificate}`, async () => {
      const device = authority.sign('device-1');
      const stranger = new Authority();
      try {
        await bench.start({ ...tls(), clientCa: authority.file, clientCertificate });
        const withFiles = ({ cert, key }: KeyPair) => ({
          cert: authority.read(cert),
          key: authority.read(key),
        });
        assert.equal(await isServed(client(withFiles(device))), true);
        const { certificate } = bench.accepted[0]!.socket;
        assert.equal(certificate?.subject, 'CN=device-1,O=Example');
        assert.match(certificate?.fingerprint ?? '', /^[0-9a-f]{64}$/);
        const isOptional = clientCertificate === 'optional';
        assert.equal(await isServed(client()), isOptional);
        assert.equal(await isServed(client(withFiles(stranger.sign('device-1')))), isOptional);
        const others = bench.accepted.slice(1);
        assert.deepEqual(
          others.map(({ socket }) => socket.certificate),
          isOptional ? [undefined, undefined] : [],
        );
      } finally {
        stranger.remove();
      }
    });
  }

  it('uses a new certificate for new clients and drops none', async () => {
    const live = {
      cert: join(authority.folder, 'live.pem'),
      key: join(authority.folder, 'live.key'),
    };
    const install = ({ cert, key }: KeyPair) => {
      copyFileSync(cert, live.cert);
      copyFileSync(key, live.key);
    };
    install(server);
    await bench.start(tls(live));
    const before = await serialShown();
    const stays = client();
    assert.equal(await isServed(stays), true);

    await bench.listener.reload();
    assert.equal(await serialShown(), before, 'the same files');

    install(authority.sign('next', 'DNS:localhost,IP:127.0.0.1'));
    await bench.listener.reload();
    const next = await serialShown();
    assert.notEqual(next, before);
    assert.equal(await serialShown({ servername: 'localhost' }), next);
    assert.equal(await isServed(stays), true);

    // The pair is half written: certificate and key do not belong together.
    copyFileSync(server.cert, live.cert);
    await bench.listener.reload();
    await bench.listener.reload();
    assert.equal(await serialShown(), next);
    writeFileSync(live.cert, 'no certificate');
    await bench.listener.reload();
    assert.equal(await serialShown(), next);
    const errors = bench.log.filter((line) => line.startsWith('error'));
    assert.equal(errors.length, 2, errors.join('\n'));
    assert.match(
      errors[0]!,
      /new certificate cannot be used.*live\.key is not the key of .*live\.pem/,
    );
    assert.match(errors[1]!, /live\.pem holds no PEM certificate/);

    install(server);
    await bench.listener.reload();
    assert.equal(await serialShown(), before);
    assert.equal(await isServed(stays), true);
  });

  it('reads once more when a file is replaced while it reads, however many ask', async () => {
    const live = { cert: join(authority.folder, 'q.pem'), key: join(authority.folder, 'q.key') };
    const install = ({ cert, key }: KeyPair) => {
      copyFileSync(cert, live.cert);
      copyFileSync(key, live.key);
    };
    const [middle, last] = [authority.sign('middle'), authority.sign('last', 'IP:127.0.0.1')];
    install(server);
    const asked: Promise<void>[] = [];
    let uses = 0;
    const log = (_: string, text: string) => {
      // The files have been read, and their certificate is not in use yet.
      if (text !== 'certificate in use' || ++uses !== 2) return;
      install(last);
      for (let i = 0; i < 3; i++) asked.push(bench.listener.reload());
    };
    await bench.start(tls(live), {}, { log });
    install(middle);
    await bench.listener.reload();
    assert.equal(asked.length, 3);
    await Promise.all(asked);
    assert.equal(uses, 3);
    const serial = new X509Certificate(readFileSync(last.cert)).serialNumber;
    assert.equal(await serialShown(), serial);
  });

  it('refuses a file that is a pipe, a folder or too large, without waiting for it', async () => {
    const pipe = join(authority.folder, 'pipe');
    const large = join(authority.folder, 'large');
    execFileSync('mkfifo', [pipe]);
    writeFileSync(large, Buffer.alloc(1_048_577));
    for (const [cert, told] of [
      [pipe, /pipe is not a regular file/],
      [authority.folder, /is not a regular file/],
      [large, /large is larger than 1 MiB/],
    ] as const)
      await assert.rejects(bench.start(tls({ cert, key: server.key })), told);
  });

  it('names a file that cannot be used, and what is wrong with it', async () => {
    const other = authority.sign('other');
    for (const [files, told] of [
      [{ cert: '/no/such.pem', key: server.key }, /\/no\/such\.pem cannot be read \(ENOENT\)/],
      [{ cert: server.key, key: server.key }, /\.key holds no PEM certificate/],
      [{ cert: server.cert, key: server.cert }, /\.pem holds no PEM private key/],
      [{ cert: server.cert, key: other.key }, /is not the key of/],
    ] as const) {
      await assert.rejects(
        bench.start(tls(files)),
        (error) =>
          error instanceof BrokerError &&
          error.code === 'BROKER_ERR_TLS_FILE' &&
          told.test(error.message),
      );
    }
  });

  it('takes files that are swapped while they are read', async () => {
    const pairs = [server, authority.sign('other', 'IP:127.0.0.1')];
    const link = join(authority.folder, 'now');
    const swap = (i: number) => {
      const folder = join(authority.folder, `set-${i % 2}`);
      mkdirSync(folder, { recursive: true });
      const { cert, key } = pairs[i % 2]!;
      copyFileSync(cert, join(folder, 'tls.crt'));
      copyFileSync(key, join(folder, 'tls.key'));
      symlinkSync(folder, `${link}.new`);
      renameSync(`${link}.new`, link);
    };
    swap(0);
    await bench.start(tls({ cert: join(link, 'tls.crt'), key: join(link, 'tls.key') }));
    for (let i = 1; i <= 20; i++) {
      const reloaded = bench.listener.reload();
      swap(i);
      await reloaded;
      await bench.listener.reload();
    }
    assert.deepEqual(
      bench.lines.filter(({ level }) => level === 'error'),
      [],
    );
  });

  it('names the address of one that has gone in the log', async () => {
    await bench.start(tls());
    const socket = await bench.socket();
    await until(() => bench.counters.handshakesUnderWay === 1);
    socket.resetAndDestroy();
    await until(() => bench.counters.handshakesFailed === 1);
    assert.match(JSON.parse(bench.lines.at(-1)!.fields).remote, /^127\.0\.0\.1:\d+$/);
  });

  it('ends a handshake that takes too long, and bounds those under way', async () => {
    await bench.start(tls(), { handshakesMax: 2, handshakeTimeoutMs: 300 });
    const [one, two] = [await bench.socket(), await bench.socket()];
    await until(() => bench.counters.handshakesUnderWay === 2);
    const surplus = await bench.socket();
    await once(surplus.resume(), 'close');
    assert.equal(bench.counters.handshakesFailed, 1);
    await Promise.all([once(one.resume(), 'close'), once(two.resume(), 'close')]);
    await until(() => bench.listener.count === 0);
    assert.deepEqual(bench.counters, { handshakesUnderWay: 0, handshakesFailed: 3 });
    assert.match(bench.log.join('\n'), /too many handshakes under way \(limits\.handshakes\)/);
    assert.match(bench.log.join('\n'), /took too long \(timings\.handshakeTimeoutMs\)/);
    assert.equal(await isServed(client()), true);
    assert.equal(bench.counters.handshakesUnderWay, 0);
  });

  it('outlives bytes that are no TLS, and a client that leaves at any byte of its handshake', async () => {
    await bench.start(tls());
    const noise = await bench.socket();
    noise.write('GET / HTTP/1.1\r\n\r\n');
    await once(noise.resume(), 'close');
    const hello = await clientHello();
    for (let cut = 1; cut <= hello.length; cut += 23) {
      const socket = await bench.socket();
      socket.write(hello.subarray(0, cut));
      await until(() => bench.counters.handshakesUnderWay > 0);
      if (cut % 2 === 0) socket.end();
      else socket.resetAndDestroy();
      await until(() => bench.listener.count === 0);
    }
    assert.equal(await isServed(client()), true);
  });

  /** What a client sends first. */
  async function clientHello(): Promise<Buffer> {
    const { Duplex } = await import('node:stream');
    const sent = Promise.withResolvers<Buffer>();
    const socket = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        sent.resolve(chunk);
        done();
      },
    });
    const secure = connect({ socket, ca });
    secure.on('error', () => {});
    const hello = await sent.promise;
    secure.destroy();
    return hello;
  }
});
