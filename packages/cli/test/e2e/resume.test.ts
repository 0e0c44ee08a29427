import assert from 'node:assert/strict';
import path from 'node:path';
import mqtt, { type MqttClient } from 'mqtt';
import { LocalCluster } from '../../../../bench/src/chaos/cluster.ts';
import { type Output, run } from '../../../../bench/src/chaos/managed-process.ts';
import { LineClient } from './line-client.ts';
import { canRun, FEW_SHARDS, hasPaho, itWith, PYTHON } from './tools.ts';

const HOST = '127.0.0.1';

describe('a persistent session resumes on another node after SIGKILL of its own', function () {
  this.timeout(120_000);
  let cluster: LocalCluster;

  before(async () => {
    cluster = await LocalCluster.create({ nodes: 3, startArgs: FEW_SHARDS });
  });
  after(async () => {
    await cluster?.stop();
  });
  afterEach(async () => {
    await LineClient.endAll();
    for (const name of cluster.names) if (!cluster.isUp(name)) await cluster.start(name);
    assert.ok(await cluster.whole(60_000), await cluster.describe());
  });

  const port = (node: string): number => cluster.endpoint(node).port;

  /** The node that leads the session (the worst one to lose), and the two others. */
  async function roles(clientId: string): Promise<{ own: string; other: string; third: string }> {
    const route = `/api/v1/sessions/${encodeURIComponent(clientId)}/explain`;
    const answer = await cluster.get('n1', route);
    const own = (answer?.body as { leader: string | null } | undefined)?.leader;
    assert.ok(own, `n1 knows who leads ${clientId}: ${JSON.stringify(answer)}`);
    const [other, third] = cluster.names.filter((name) => name !== own);
    return { own, other: other as string, third: third as string };
  }

  /** mosquitto_pub reads payloads line by line and ends once all are acknowledged. */
  async function publishLines(node: string, topic: string, qos: number, lines: readonly string[]) {
    const address = ['-h', HOST, '-p', String(port(node))];
    const output: Output = await run(
      'mosquitto_pub',
      [...address, '-t', topic, '-q', String(qos), '-l'],
      { timeoutMs: 60_000, stdin: `${lines.join('\n')}\n` },
    );
    assert.equal(output.code, 0, `mosquitto_pub: ${output.stderr}`);
  }

  const hasMosquitto = canRun('mosquitto_sub', ['--help']) && canRun('mosquitto_pub', ['--help']);

  for (const [version, expiry] of [
    ['311', []],
    ['5', ['-x', '3600']],
  ] as const) {
    const title = `mosquitto_sub and mosquitto_pub, MQTT ${version}: away, at QoS 2, exactly once`;
    itWith('mosquitto-clients', hasMosquitto, title, async () => {
      const id = `mosquitto-away-${version}`;
      const { own, other, third } = await roles(id);
      const args = [
        '-i',
        id,
        '-c',
        '-V',
        version,
        ...expiry,
        '-q',
        '2',
        '-t',
        'e2e/away',
        '-h',
        HOST,
      ];
      const before = mosquittoSub([...args, '-d', '-p', String(port(own))]);
      await before.until('subscribed', (lines) => lines.some((l) => l.startsWith('Subscribed')));
      await before.end('SIGTERM');

      const payloads = numbered('away', 300);
      await publishLines(other, 'e2e/away', 2, payloads.slice(0, 200));
      await cluster.kill(own, 'SIGKILL');
      await publishLines(other, 'e2e/away', 2, payloads.slice(200));

      const after = mosquittoSub([...args, '-p', String(port(third))]);
      await after.until('all messages', (lines) => lines.includes(payloads.at(-1) as string));
      await after.end('SIGTERM');
      assert.deepEqual(after.lines, payloads);
    });
  }

  itWith(
    'mosquitto-clients',
    hasMosquitto,
    'mosquitto_sub connected while its node dies',
    async () => {
      const id = 'mosquitto-connected';
      const { own, other, third } = await roles(id);
      const args = ['-i', id, '-c', '-q', '1', '-t', 'e2e/connected', '-h', HOST];
      const before = mosquittoSub([...args, '-d', '-p', String(port(own))]);
      await before.until('subscribed', (lines) => lines.some((l) => l.startsWith('Subscribed')));

      const payloads = numbered('connected', 400);
      const publishing = publishLines(other, 'e2e/connected', 1, payloads);
      await before.until('some messages', (lines) => payloadsOf(lines, payloads).size >= 20);
      await cluster.kill(own, 'SIGKILL');
      await before.end('SIGKILL');
      const first = payloadsOf(before.lines, payloads);

      const after = mosquittoSub([...args, '-p', String(port(third))]);
      await publishing;
      await after.until('all messages', (lines) => {
        return new Set([...first, ...payloadsOf(lines, payloads)]).size === payloads.length;
      });
      await after.end('SIGTERM');
    },
  );

  for (const protocolVersion of [4, 5] as const) {
    it(`MQTT.js, MQTT ${protocolVersion === 4 ? '3.1.1' : '5.0'}: subscriber and publisher`, async () => {
      const id = `mqttjs-${protocolVersion}`;
      const { own, other, third } = await roles(id);
      const session = { clean: false, protocolVersion, reconnectPeriod: 50, resubscribe: false };
      const properties =
        protocolVersion === 5 ? { properties: { sessionExpiryInterval: 3_600 } } : {};
      const connect = (clientId: string, nodes: readonly string[]): MqttClient =>
        mqtt.connect({
          ...session,
          ...properties,
          clientId,
          servers: nodes.map((node) => ({
            host: HOST,
            port: port(node),
            protocol: 'mqtt' as const,
          })),
        });
      const subscriber = connect(id, [own, third]);
      // One publisher keeps its node, the other one loses it together with the subscriber's.
      const publishers = [connect(`${id}-stays`, [other]), connect(`${id}-moves`, [own, other])];
      try {
        await playMqttJs(subscriber, publishers, () => cluster.kill(own, 'SIGKILL'), id);
      } finally {
        await Promise.all([subscriber, ...publishers].map((client) => client.endAsync(true)));
      }
    });
  }

  itWith('python3-paho-mqtt', hasPaho(), 'paho (Python), at QoS 2, exactly once', async () => {
    const id = 'paho';
    const { own, other, third } = await roles(id);
    const script = path.join(import.meta.dirname, 'paho_session.py');
    const ports = [own, third].map((node) => String(port(node)));
    const client = new LineClient(PYTHON, [script, id, 'e2e/paho', '2', ...ports]);
    try {
      await client.until('subscribed', (lines) => lines.includes('subscribed'));
      const payloads = numbered('paho', 400);
      const publisher = mqtt.connect({ host: HOST, port: port(other), clientId: 'paho-publisher' });
      const acknowledged = payloads.map((payload) =>
        publisher.publishAsync('e2e/paho', payload, { qos: 2 }),
      );
      await client.until('some messages', (lines) => messagesOf(lines).length >= 20);
      await cluster.kill(own, 'SIGKILL');
      await Promise.all(acknowledged);
      await publisher.endAsync();
      await client.until('all messages', (lines) => new Set(messagesOf(lines)).size === 400);
      assert.ok(
        client.lines.includes(`connected ${ports[1]} 1`),
        'session present at the other node',
      );
      assert.deepEqual(messagesOf(client.lines), payloads);
    } finally {
      await client.end('SIGKILL');
    }
  });
});

/** Publishes through both publishers, kills in the middle, and expects every message once. */
async function playMqttJs(
  subscriber: MqttClient,
  publishers: readonly MqttClient[],
  kill: () => Promise<void>,
  id: string,
): Promise<void> {
  const received: string[] = [];
  const resumes: boolean[] = [];
  const { promise: someReceived, resolve: onSome } = Promise.withResolvers<void>();
  let onMessage = (): void => {};
  subscriber.on('connect', ({ sessionPresent }) => resumes.push(sessionPresent));
  subscriber.on('message', (_topic, payload) => {
    received.push(payload.toString());
    if (received.length === 20) onSome();
    onMessage();
  });
  for (const client of [subscriber, ...publishers]) client.on('error', () => {});
  await subscriber.subscribeAsync(`e2e/${id}`, { qos: 2 });

  const sent: string[][] = publishers.map((_, p) => numbered(`${id}-${p}`, 300));
  const acknowledged = publishers.flatMap((publisher, p) =>
    (sent[p] as string[]).map((payload) =>
      publisher.publishAsync(`e2e/${id}`, payload, { qos: 2 }),
    ),
  );
  await someReceived;
  await kill();
  await Promise.all(acknowledged);

  const wanted = sent.flat();
  const { promise: allReceived, resolve: onAll } = Promise.withResolvers<void>();
  onMessage = () => {
    if (received.length >= wanted.length) onAll();
  };
  onMessage();
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const missing = wanted.filter((payload) => !received.includes(payload));
    reject(new Error(`${missing.length} messages did not come: ${missing.slice(0, 5)}`));
  }, 60_000);
  await Promise.race([allReceived, late]).finally(() => clearTimeout(timer));

  assert.deepEqual(received.toSorted(), wanted.toSorted(), 'each message once');
  const stayed = received.filter((payload) => sent[0]?.includes(payload));
  assert.deepEqual(stayed, sent[0], 'in the order in which they were published');
  assert.ok(resumes.length >= 2, 'the subscriber lost its connection');
  assert.ok(resumes.slice(1).every(Boolean), 'session present after every reconnect');
}

/** Into a pipe it would keep its output back; stdbuf makes it print line by line. */
function mosquittoSub(args: readonly string[]): LineClient {
  return new LineClient('stdbuf', ['-oL', 'mosquitto_sub', ...args]);
}

function numbered(label: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${label}-${String(i).padStart(4, '0')}`);
}

/** mosquitto_sub's debug lines stand between the payloads. */
function payloadsOf(lines: readonly string[], payloads: readonly string[]): Set<string> {
  const wanted = new Set(payloads);
  return new Set(lines.filter((line) => wanted.has(line)));
}

function messagesOf(lines: readonly string[]): string[] {
  return lines.filter((l) => l.startsWith('message ')).map((l) => l.slice('message '.length));
}
