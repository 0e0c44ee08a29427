import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { connect as connectTls } from 'node:tls';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { LocalCluster } from '../../../../bench/src/chaos/cluster.ts';
import { run } from '../../../../bench/src/chaos/managed-process.ts';
import { hasChromium, PageClient } from './browser.ts';
import { makeCertificate } from './certificate.ts';
import { LineClient } from './line-client.ts';
import { canRun, FEW_SHARDS, hasPahoC, itWith } from './tools.ts';

const HOST = 'localhost';

describe('real programs by TCP, TLS, WebSocket and secure WebSocket', function () {
  this.timeout(120_000);
  let cluster: LocalCluster;
  let folder: string;
  /** PEM files: certificates sign themselves, so that they are their own authorities. */
  let cert: string;
  let key: string;

  before(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'shoal-e2e-tls-'));
    cert = path.join(folder, 'server.pem');
    key = path.join(folder, 'server.key');
    makeCertificate(cert, key);
    const files = `cert=${cert}&key=${key}`;
    const addresses = [`tls://:0?${files}`, 'ws://:0/mqtt', `wss://:0/mqtt?${files}`];
    const listen = addresses.flatMap((address) => ['--mqtt-listen', address]);
    const startArgs = [...FEW_SHARDS, ...listen];
    cluster = await LocalCluster.create({ nodes: 3, startArgs });
  });
  after(async () => {
    await cluster?.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  });
  afterEach(() => LineClient.endAll());

  const connect = async (
    node: string,
    transport: 'ws' | 'wss',
    options: IClientOptions = {},
  ): Promise<MqttClient> => {
    const url = `${transport}://${HOST}:${cluster.portOf(node, transport)}/mqtt`;
    return await mqtt.connectAsync(url, { ca: fs.readFileSync(cert), ...options });
  };
  const tlsArgs = (node: string) =>
    ['-h', HOST, '-p', String(cluster.portOf(node, 'tls')), '--cafile', cert] as const;
  const publish = async (node: string, topic: string, lines: readonly string[]) => {
    const args = [...tlsArgs(node), '-t', topic, '-q', '2', '-l'];
    const stdin = `${lines.join('\n')}\n`;
    const output = await run('mosquitto_pub', args, { timeoutMs: 60_000, stdin });
    assert.equal(output.code, 0, `mosquitto_pub: ${output.stderr}`);
  };
  const subscribe = (node: string, args: readonly string[]) =>
    new LineClient('stdbuf', ['-oL', 'mosquitto_sub', '-d', ...tlsArgs(node), ...args]);

  const hasMosquitto = canRun('mosquitto_sub', ['--help']) && canRun('mosquitto_pub', ['--help']);

  for (const version of ['31', '311', '5']) {
    const title = `mosquitto_pub and mosquitto_sub with --cafile, MQTT ${version}`;
    itWith('mosquitto-clients', hasMosquitto, title, async () => {
      const topic = `e2e/tls/${version}`;
      const args = ['-V', `mqttv${version}`, '-q', '2', '-t', topic];
      const subscriber = subscribe('n2', args);
      await subscriber.until('subscribed', (lines) =>
        lines.some((l) => l.startsWith('Subscribed')),
      );
      const payloads = Array.from({ length: 200 }, (_, i) => `tls-${version}-${i}`);
      await publish('n1', topic, payloads);
      const come = (lines: readonly string[]) => lines.filter((line) => payloads.includes(line));
      await subscriber.until('all messages', (lines) => come(lines).length >= payloads.length);
      assert.deepEqual(come(subscriber.lines), payloads);
    });
  }

  const hasRr = canRun('mosquitto_rr', ['--help']);
  for (const version of ['31', '311', '5']) {
    itWith('mosquitto-clients', hasRr, `mosquitto_rr, MQTT ${version}: is answered`, async () => {
      const [request, answer] = [`e2e/rr/${version}/request`, `e2e/rr/${version}/answer`];
      const responder = await connect('n2', 'wss', { protocolVersion: 5 });
      try {
        responder.on('message', (_topic, payload, { properties }) => {
          // Before MQTT 5 the two have to know where answers go.
          const { responseTopic = answer, correlationData } = properties ?? {};
          const reply = correlationData === undefined ? {} : { properties: { correlationData } };
          responder.publish(responseTopic, `answer to ${payload}`, { qos: 1, ...reply });
        });
        await responder.subscribeAsync(request, { qos: 1 });
        const what = ['-t', request, '-e', answer, '-m', version, '-q', '1', '-W', '20'];
        const args = ['-V', `mqttv${version}`, ...tlsArgs('n1'), ...what];
        const output = await run('mosquitto_rr', args, { timeoutMs: 30_000 });
        assert.equal(output.stdout, `answer to ${version}\n`, output.stderr);
      } finally {
        await responder.endAsync();
      }
    });
  }

  const pahoC = path.join(import.meta.dirname, 'paho_client.c');
  for (const version of ['31', '311', '5']) {
    const title = `paho-c by TCP, MQTT ${version}: every QoS, from node to node`;
    itWith('libpaho-mqtt-dev or gcc', hasPahoC(), title, async () => {
      const program = path.join(folder, 'paho_client');
      if (!fs.existsSync(program))
        execFileSync('gcc', ['-Wall', '-Werror', '-o', program, pahoC, '-lpaho-mqtt3c']);
      const uri = (node: string) => `tcp://127.0.0.1:${cluster.endpoint(node).port}`;
      const args = [version, uri('n3'), uri('n1'), `e2e/paho-c/${version}`, '10'];
      const { code, stdout } = await run(program, args, { timeoutMs: 60_000 });
      const sent = [0, 1, 2].flatMap((qos) =>
        Array.from({ length: 10 }, (_, i) => `message ${qos}-${i}`),
      );
      assert.deepEqual(stdout.trim().split('\n'), [...sent, 'done']);
      assert.equal(code, 0);
    });
  }

  const page = 'a page in Chromium, by WSS, goes on at another node when its own is killed';
  itWith('chromium', hasChromium(), page, async () => {
    const [publisher, watcher] = [await connect('n2', 'ws'), await connect('n3', 'wss')];
    const ports = ['n1', 'n2'].map((node) => cluster.portOf(node, 'wss'));
    const client = await PageClient.open({ ports, clientId: 'page', topic: 'e2e/page/in', cert });
    try {
      await client.until('subscribed', (events) => events.some((e) => e.type === 'subscribed'));
      const seen: string[] = [];
      watcher.on('message', (_topic, payload) => seen.push(String(payload)));
      await watcher.subscribeAsync('e2e/page/out', { qos: 1 });
      const send = async (from: number) => {
        for (let i = from; i < from + 20; i++)
          await publisher.publishAsync('e2e/page/in', `to-page-${i}`, { qos: 1 });
      };
      await send(0);
      await client.until('first messages', () => client.payloads.length >= 20);
      await client.publish('e2e/page/out', ['before']);

      await cluster.kill('n1', 'SIGKILL');
      await send(20);
      await client.until('messages of its session', () => new Set(client.payloads).size >= 40);
      await client.publish('e2e/page/out', ['after']);
      const connects = client.events.filter((e) => e.type === 'connected');
      assert.deepEqual(
        connects.map((e) => e.sessionPresent),
        [false, true],
      );
      assert.deepEqual(
        [...new Set(client.payloads)],
        Array.from({ length: 40 }, (_, i) => `to-page-${i}`),
      );
      await watcher.unsubscribeAsync('e2e/page/out');
      assert.deepEqual([...new Set(seen)], ['before', 'after']);
    } finally {
      await Promise.all([client.end(), publisher.endAsync(), watcher.endAsync()]);
    }
    await cluster.start('n1');
    assert.ok(await cluster.whole(60_000), await cluster.describe());
  });

  itWith('mosquitto-clients', hasMosquitto, 'a client of another authority goes', async () => {
    const other = path.join(folder, 'other.pem');
    makeCertificate(other, path.join(folder, 'other.key'));
    const [, , , port] = tlsArgs('n1');
    const args = ['-h', HOST, '-p', port, '--cafile', other, '-t', 'never', '-m', 'x'];
    const output = await run('mosquitto_pub', args, { timeoutMs: 30_000 });
    assert.notEqual(output.code, 0);
  });

  for (const transport of ['ws', 'wss'] as const) {
    for (const protocolVersion of [4, 5] as const) {
      it(`MQTT.js over ${transport}, MQTT ${protocolVersion}: every QoS, small and large`, async () => {
        const topic = `e2e/${transport}/${protocolVersion}`;
        const subscriber = await connect('n3', transport, { protocolVersion });
        const publisher = await connect('n1', transport, { protocolVersion });
        try {
          await subscriber.subscribeAsync(topic, { qos: 2 });
          const sent: Buffer[] = [];
          const received: Buffer[] = [];
          const all = Promise.withResolvers<void>();
          subscriber.on('message', (_topic, payload) => {
            received.push(payload);
            if (received.length === 63) all.resolve();
          });
          for (const bytes of [10, 70_000, 900_000]) {
            for (const qos of [0, 1, 2] as const) {
              const payloads = Array.from({ length: 7 }, (_, i) =>
                Buffer.alloc(bytes, 10 * qos + i),
              );
              sent.push(...payloads);
              await Promise.all(payloads.map((p) => publisher.publishAsync(topic, p, { qos })));
            }
          }
          await all.promise;
          // In order for each QoS [MQTT-4.6.0-6], which is the tens of every byte.
          const byQos = (all: readonly Buffer[]) =>
            [0, 1, 2].flatMap((qos) => all.filter((p) => Math.floor(p[0]! / 10) === qos));
          const expected = byQos(sent);
          assert.ok(byQos(received).every((payload, i) => payload.equals(expected[i]!)));
        } finally {
          await Promise.all([subscriber.endAsync(), publisher.endAsync()]);
        }
      });
    }
  }

  const moved = 'a session is kept from WSS to TLS, across the death of its leader';
  itWith('mosquitto-clients', hasMosquitto, moved, async () => {
    const clientId = 'mover';
    const route = `/api/v1/sessions/${clientId}/explain`;
    const answer = await cluster.get('n1', route);
    const own = (answer?.body as { leader: string } | undefined)?.leader;
    assert.ok(own, JSON.stringify(answer));
    const [other, third] = cluster.names.filter((name) => name !== own) as [string, string];
    const here = await connect(own, 'wss', { clientId, clean: false, protocolVersion: 4 });
    await here.subscribeAsync('e2e/moved', { qos: 2 });
    await here.endAsync();

    const payloads = Array.from({ length: 200 }, (_, i) => `moved-${i}`);
    await publish(other, 'e2e/moved', payloads.slice(0, 100));
    await cluster.kill(own, 'SIGKILL');
    await publish(third, 'e2e/moved', payloads.slice(100));

    const session = ['-V', 'mqttv311', '-i', clientId, '-c', '-q', '2', '-t', 'e2e/moved'];
    const there = subscribe(third, session);
    const come = (lines: readonly string[]) => lines.filter((line) => payloads.includes(line));
    await there.until('all messages', (lines) => come(lines).length >= payloads.length);
    assert.deepEqual(come(there.lines), payloads);
    await there.end('SIGTERM');
    await cluster.start(own);
    assert.ok(await cluster.whole(60_000), await cluster.describe());
  });

  it('a new certificate is shown after SIGHUP, and no client is dropped', async () => {
    const shown = async (): Promise<string> => {
      const port = cluster.portOf('n1', 'tls');
      const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      const { fingerprint256 } = socket.getPeerCertificate();
      socket.destroy();
      return fingerprint256;
    };
    const before = await shown();
    const clients = await Promise.all(Array.from({ length: 50 }, () => connect('n1', 'wss')));
    let dropped = 0;
    for (const client of clients) client.on('close', () => dropped++);
    makeCertificate(cert, key);
    cluster.signal('n1', 'SIGHUP');
    // Reading takes the node a moment, which it does not announce to clients.
    const deadlineMs = performance.now() + 30_000;
    while ((await shown()) === before) assert.ok(performance.now() < deadlineMs, 'never shown');
    await Promise.all(
      clients.map((client) => client.publishAsync('e2e/still', 'here', { qos: 1 })),
    );
    assert.equal(dropped, 0);
    await Promise.all(clients.map((client) => client.endAsync()));
  });
});
