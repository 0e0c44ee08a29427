import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { LocalCluster, SHOAL_BIN } from '../../../../bench/src/chaos/cluster.ts';
import { type Output, run } from '../../../../bench/src/chaos/managed-process.ts';
import { freePort } from '../../../../bench/src/chaos/ports.ts';
import { connectPacket, RawClient } from '../../../../bench/src/chaos/raw-client.ts';
import { FEW_SHARDS } from './tools.ts';

const HOST = '127.0.0.1';

/** The exit code and words by which each refusal is known; the codes are those of docs/ERRORS.md. */
function assertRefused(output: Output, exitCode: number, code: string, ...words: RegExp[]): void {
  const said = `exit ${output.code}, stdout ${output.stdout}, stderr ${output.stderr}`;
  assert.equal(output.code, exitCode, said);
  assert.match(output.stderr, new RegExp(code), said);
  for (const word of words) assert.match(output.stderr, word);
  assert.equal(output.stdout, '', 'nothing was served');
}

describe('bad input at start', function () {
  this.timeout(60_000);
  let cluster: LocalCluster;
  let folder: string;

  before(async () => {
    cluster = await LocalCluster.create({ nodes: 1, startArgs: FEW_SHARDS });
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'shoal-e2e-'));
  });
  after(async () => {
    await cluster?.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  });
  afterEach(() => {
    assert.ok(cluster.isUp('n1'), 'the node that was there first goes on');
  });

  /** `shoal start` with free ports and an own folder, save for what `flags` says otherwise. */
  async function start(flags: Record<string, string>, ...more: string[]): Promise<Output> {
    const listen = async (): Promise<string> => `${HOST}:${await freePort(new Set())}`;
    const all: Record<string, string> = {
      'node-name': 'bad',
      'data-dir': path.join(folder, 'bad'),
      'mqtt-listen': await listen(),
      'cluster-listen': await listen(),
      'admin-listen': await listen(),
      ...flags,
    };
    const args = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
    return run(SHOAL_BIN, ['start', ...args, ...more], { timeoutMs: 30_000 });
  }

  for (const listener of ['mqtt-listen', 'cluster-listen', 'admin-listen']) {
    it(`refuses an address in use: --${listener}`, async () => {
      const address = {
        'mqtt-listen': `${HOST}:${cluster.endpoint('n1').port}`,
        'cluster-listen': cluster.clusterAddress('n1'),
        'admin-listen': new URL(cluster.adminUrl('n1')).host,
      }[listener] as string;
      const output = await start({ [listener]: address });
      assertRefused(output, 20, 'BROKER_ERR_ADDRESS_IN_USE', new RegExp(address));
    });
  }

  it('refuses to listen off loopback where nobody is asked who he is', async () => {
    const output = await start({ 'mqtt-listen': `0.0.0.0:${await freePort(new Set())}` });
    assertRefused(output, 22, 'BROKER_ERR_ADDRESS_NOT_LOOPBACK', /0\.0\.0\.0/);
  });

  it('refuses a data folder that another process holds', async () => {
    const output = await start({ 'node-name': 'n1', 'data-dir': cluster.dataDir('n1') });
    assertRefused(output, 30, 'BROKER_ERR_DATA_LOCKED');
  });

  it('refuses the name of a living node, which goes on', async () => {
    const join = { join: cluster.clusterAddress('n1') };
    const flags = { ...join, 'node-name': 'n1', 'data-dir': path.join(folder, 'namesake') };
    assertRefused(await start(flags), 42, 'BROKER_ERR_NODE_NAME_TAKEN', /names are unique/);
    assert.equal((await cluster.get('n1', '/ready'))?.status, 200);
  });

  it('refuses an unknown configuration key with its path and the nearest known one', async () => {
    const output = await start({}, '--set', 'mqtt.lisen=127.0.0.1:1883');
    assertRefused(output, 10, 'BROKER_ERR_CONFIG_UNKNOWN_KEY', /mqtt\.lisen/, /mqtt\.listen/);
  });

  it('refuses an unknown key in a configuration file', async () => {
    const file = path.join(folder, 'shoal.yaml');
    fs.writeFileSync(file, 'cluster:\n  replica: 3\n');
    const output = await start({ config: file });
    assertRefused(output, 10, 'BROKER_ERR_CONFIG_UNKNOWN_KEY', /cluster\.replica/);
  });

  it('refuses a value of the wrong type', async () => {
    const output = await start({ replicas: 'many' });
    assert.ok(output.code !== 0 && output.stdout === '', output.stderr);
    assert.match(output.stderr, /replicas/);
    assert.match(output.stderr, /many/);
  });
});

describe('bad input: data folders of somebody else', function () {
  this.timeout(60_000);
  let ours: LocalCluster;
  let theirs: LocalCluster;

  before(async () => {
    [ours, theirs] = await Promise.all([
      LocalCluster.create({ nodes: 1, startArgs: FEW_SHARDS }),
      LocalCluster.create({ nodes: 1, startArgs: FEW_SHARDS }),
    ]);
  });
  after(async () => {
    await Promise.all([ours?.stop(), theirs?.stop()]);
  });

  it('refuses the folder of another node and leaves it as it was', async () => {
    await ours.kill('n1', 'SIGTERM');
    const args = ours.startArgs('n1').map((arg, i, all) => {
      return all[i - 1] === '--node-name' ? 'impostor' : arg;
    });
    const output = await run(SHOAL_BIN, args, { timeoutMs: 30_000 });
    assertRefused(output, 32, 'BROKER_ERR_DATA_OTHER_NODE', /n1/);
    await ours.start('n1');
  });

  it('refuses to join a cluster other than that of the folder', async () => {
    await ours.kill('n1', 'SIGTERM');
    const args = [...ours.startArgs('n1'), '--join', theirs.clusterAddress('n1')];
    const output = await run(SHOAL_BIN, args, { timeoutMs: 30_000 });
    assert.match(output.stderr, /BROKER_ERR_(JOIN|DATA)_OTHER_CLUSTER/);
    assert.ok(output.code === 41 || output.code === 31, `exit code ${output.code}`);
    assert.equal(output.stdout, '');
    await ours.start('n1');
    assert.ok(theirs.isUp('n1'));
  });
});

describe('signals', function () {
  this.timeout(60_000);

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`${signal} drains and exits 0`, async () => {
      const cluster = await LocalCluster.create({ nodes: 1, startArgs: FEW_SHARDS });
      try {
        const bye = await RawClient.connect(cluster.endpoint('n1').port, 'drained');
        const exit = await cluster.end('n1', signal);
        assert.deepEqual(exit, { code: 0, signal: null });
        await bye.closed;
      } finally {
        await cluster.stop();
      }
    });
  }
});

describe('bad input from a client', function () {
  this.timeout(60_000);
  let cluster: LocalCluster;
  let bystander: RawClient;

  before(async () => {
    cluster = await LocalCluster.create({ nodes: 1, startArgs: FEW_SHARDS });
    bystander = await RawClient.connect(cluster.endpoint('n1').port, 'bystander');
  });
  after(async () => {
    bystander?.socket.destroy();
    await cluster?.stop();
  });
  afterEach(async () => {
    bystander.send({ cmd: 'pingreq' });
    await bystander.next('pingresp');
  });

  /** After CONNECT; the reason codes are those that MQTT 5 names for the fault. */
  const malformed: [string, number, number[]][] = [
    ['PUBLISH with QoS 3 [MQTT-3.3.1-4]', 0x81, [0x36, 0x07, 0, 1, 0x74, 0, 1, 0, 0x78]],
    ['SUBSCRIBE with wrong flags [MQTT-3.8.1-1]', 0x81, [0x80, 0x07, 0, 1, 0, 0, 1, 0x74, 0]],
    ['PUBLISH to a wildcard [MQTT-3.3.2-2]', 0x90, [0x30, 0x04, 0, 1, 0x23, 0]],
    ['a Remaining Length of five bytes [1.5.5]', 0x81, [0x30, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ['packet type 0', 0x81, [0x00, 0x00]],
    ['a second CONNECT [MQTT-3.1.0-2]', 0x82, [...connectPacket('twice')]],
    ['SUBSCRIBE without a filter [MQTT-3.8.3-2]', 0x82, [0x82, 0x03, 0, 1, 0]],
  ];
  for (const [what, reasonCode, bytes] of malformed) {
    it(`closes only that connection, with 0x${reasonCode.toString(16)}: ${what}`, async () => {
      const client = await RawClient.connect(cluster.endpoint('n1').port, 'malformed');
      client.socket.write(Buffer.from(bytes));
      const goodbye = await client.next('disconnect');
      assert.equal(goodbye.reasonCode, reasonCode, `0x${goodbye.reasonCode?.toString(16)}`);
      await client.closed;
    });
  }

  it('closes with 0x95 a packet above the Maximum Packet Size', async () => {
    const client = await RawClient.connect(cluster.endpoint('n1').port, 'large');
    // A PUBLISH whose header announces the largest Remaining Length there is.
    client.socket.write(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, 0x74, 0]));
    const goodbye = await client.next('disconnect');
    assert.equal(goodbye.reasonCode, 0x95);
    await client.closed;
  });

  it('closes without a word what does not begin with CONNECT [MQTT-3.1.0-1]', async () => {
    const client = await RawClient.open(cluster.endpoint('n1').port);
    client.socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await client.closed;
    assert.deepEqual(client.packets, []);
  });
});
