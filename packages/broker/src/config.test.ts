import assert from 'node:assert/strict';
import {
  ConfigError,
  type ConfigInput,
  resolveConfig,
  resolveConfigWithOrigins,
  swimSettings,
} from './config.ts';
import { configSections } from './config-schema.ts';

const NEEDED = { 'node.name': 'a', 'data.dir': '/tmp/a' };

function resolve(input: Partial<ConfigInput> = {}) {
  return resolveConfig({ env: {}, ...input, flags: { ...NEEDED, ...input.flags } });
}

function problemsOf(input: Partial<ConfigInput>, flags: ConfigInput['flags'] = NEEDED) {
  try {
    resolveConfig({ env: {}, flags, ...input });
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return { error, problems: error.problems };
  }
  assert.fail('the configuration was accepted');
}

describe('resolveConfig', () => {
  it('fills in every default', () => {
    const config = resolve();
    assert.equal(config.cluster.replicas, 3);
    assert.equal(config.cluster.shards, 1024);
    assert.deepEqual(config.cluster.join, []);
    assert.equal(config.data.durability, 'disk');
    assert.equal(config.limits.sessionQueueMessages, 100_000);
    assert.equal(config.limits.maxPacketBytes, 1_114_112);
    assert.equal(config.timings.silenceMs, 500);
    assert.equal(config.mqtt.advertise, undefined);
  });

  it('gives a client that reads room for eight largest packets, unless told otherwise', () => {
    const queueOf = (flags: ConfigInput['flags']) => resolve({ flags }).limits.liveQueueBytes;
    assert.equal(queueOf({}), 8 * 1_114_112);
    assert.equal(queueOf({ 'limits.maxPacketBytes': '4000' }), 8_388_608);
    assert.equal(queueOf({ 'limits.maxPacketBytes': '4000000' }), 32_000_000);
    const set = { 'limits.liveQueueBytes': '1000', 'limits.maxPacketBytes': '4000000' };
    assert.equal(queueOf(set), 1000);
  });

  it('takes the node name as host, so that nodes of one machine hold copies of each other', () => {
    assert.equal(resolve().node.host, 'a');
    assert.equal(resolve({ flags: { 'node.host': 'rack-7' } }).node.host, 'rack-7');
  });

  it('prefers flags to the environment, that to the file, and that to defaults', () => {
    const file = 'cluster:\n  replicas: 1\nlog:\n  level: warn\nnode:\n  zone: from-file\n';
    const env = { SHOAL_CLUSTER_REPLICAS: '5', SHOAL_NODE_ZONE: 'from-env' };
    const { config, origins } = resolveConfigWithOrigins({
      file,
      fileName: 'shoal.yaml',
      env,
      flags: { ...NEEDED, 'cluster.replicas': '7' },
    });
    assert.equal(config.cluster.replicas, 7);
    assert.equal(config.node.zone, 'from-env');
    assert.equal(config.log.level, 'warn');
    assert.equal(origins.get('cluster.replicas'), 'flag --replicas');
    assert.equal(origins.get('node.zone'), 'environment SHOAL_NODE_ZONE');
    assert.equal(origins.get('log.level'), 'file shoal.yaml');
    assert.equal(origins.get('cluster.shards'), 'default');
  });

  it('reads every key from its environment variable', () => {
    for (const { keys } of configSections()) {
      for (const { key, variable, type, choices } of keys) {
        assert.match(variable, /^SHOAL_[A-Z]+(_[A-Z]+)+$/);
        if (type !== 'integer' && type !== 'list' && type !== 'mappings') continue;
        const { problems } = problemsOf({ env: { [variable]: 'no:t:right' } });
        assert.deepEqual([problems[0]?.key.replace('[0]', ''), choices], [key, undefined]);
      }
    }
  });

  it('reads lists from text by commas and from a file as a list', () => {
    const env = { SHOAL_CLUSTER_JOIN: '127.0.0.1:1, [::1]:2' };
    assert.deepEqual(resolve({ env }).cluster.join, ['127.0.0.1:1', '[::1]:2']);
    const discovery = 'multicast:239.192.0.1:7701, dns:swim.example:7700';
    assert.deepEqual(resolve({ env: { SHOAL_CLUSTER_DISCOVERY: discovery } }).cluster.discovery, [
      'multicast:239.192.0.1:7701',
      'dns:swim.example:7700',
    ]);
    const file = 'cluster: {join: ["n1:7700"]}';
    assert.deepEqual(resolve({ file }).cluster.join, ['n1:7700']);
  });

  it('gives the failure detector its preset with what is overridden', () => {
    const lan = swimSettings(resolve().swim);
    const wan = swimSettings(
      resolve({ flags: { 'swim.preset': 'wan', 'swim.probeTimeoutMs': '700' } }).swim,
    );
    assert.ok(wan.protocolPeriodMs > lan.protocolPeriodMs);
    assert.equal(wan.probeTimeoutMs, 700);
  });

  it('is frozen throughout', () => {
    const config = resolve();
    assert.throws(() => {
      (config.limits as { connections: number }).connections = 1;
    }, TypeError);
    assert.ok(Object.isFrozen(config.cluster.join));
  });

  it('takes an empty file and an empty section as nothing', () => {
    assert.equal(resolve({ file: '' }).node.zone, 'default');
    assert.equal(resolve({ file: 'mqtt:\n' }).mqtt.listeners[0]?.address, '127.0.0.1:1883');
  });
});

describe('resolveConfig refuses', () => {
  it('an unknown key, naming the nearest one, its value and the file', () => {
    const { error, problems } = problemsOf({
      file: 'cluster:\n  replcas: 3\n',
      fileName: 'shoal.yaml',
    });
    assert.equal(error.code, 'BROKER_ERR_CONFIG_UNKNOWN_KEY');
    assert.equal(problems.length, 1);
    assert.match(error.message, /cluster\.replcas = 3 \(file shoal\.yaml\).*cluster\.replicas\?/);
    assert.ok(error.remedy.length > 0);
  });

  it('an unknown section, an unknown --set and a misspelt variable', () => {
    const { problems } = problemsOf(
      { file: 'clutser:\n  replicas: 3\n', env: { SHOAL_NODE_NAM: 'x', SHOAL_NOED_NAME: 'y' } },
      { ...NEEDED, 'limits.sesionQueueMessages': '5' },
    );
    assert.deepEqual(
      problems.map(({ code, key }) => [code, key]),
      [
        ['BROKER_ERR_CONFIG_UNKNOWN_KEY', 'clutser'],
        ['BROKER_ERR_CONFIG_UNKNOWN_KEY', 'SHOAL_NODE_NAM'],
        ['BROKER_ERR_CONFIG_UNKNOWN_KEY', 'SHOAL_NOED_NAME'],
        ['BROKER_ERR_CONFIG_UNKNOWN_KEY', 'limits.sesionQueueMessages'],
      ],
    );
    assert.match(problems[3]?.text ?? '', /limits\.sessionQueueMessages\?/);
  });

  it('a largest packet that disks and links cannot take in time, saying which can', () => {
    const flags = (bytes: number) => ({ ...NEEDED, 'limits.maxPacketBytes': String(bytes) });
    assert.equal(resolve({ flags: flags(16_777_216) }).limits.maxPacketBytes, 16_777_216);
    const { problems } = problemsOf({}, flags(16_777_217));
    assert.deepEqual(
      problems.map(({ code, key, text }) => [code, key, text]),
      [['BROKER_ERR_CONFIG_VALUE', 'limits.maxPacketBytes', 'must be at most 16777216']],
    );
  });

  it('names that objects have anyway', () => {
    for (const name of ['__proto__', 'constructor', 'toString']) {
      const { error } = problemsOf({ file: `${name}:\n  a: 1\n` });
      assert.equal(error.code, 'BROKER_ERR_CONFIG_UNKNOWN_KEY');
    }
  });

  it('but not variables that belong to others', () => {
    const env = {
      SHOAL_ADMIN: 'http://127.0.0.1:1',
      SHOAL_SERVICE_HOST: '10.0.0.1',
      SHOAL_MQTT_SERVICE_PORT: '1883',
      SHOAL_MQTT_PORT_1883_TCP: 'tcp://10.0.0.1:1883',
    };
    assert.equal(resolve({ env }).node.name, 'a');
  });

  it('a dotted key in a file, saying how to nest it', () => {
    const { problems } = problemsOf({ file: 'cluster.replicas: 3\n' });
    assert.match(problems[0]?.text ?? '', /nested/);
  });

  it('a wrong type, from each source', () => {
    const { error, problems } = problemsOf(
      { file: 'node:\n  zone: 5\nlog: yes\n', env: { SHOAL_CLUSTER_REPLICAS: 'three' } },
      { ...NEEDED, 'cluster.join': 5 },
    );
    assert.equal(error.code, 'BROKER_ERR_CONFIG_TYPE');
    assert.deepEqual(problems.map(({ code, key, value }) => [code, key, value]).sort(), [
      ['BROKER_ERR_CONFIG_TYPE', 'cluster.join', 5],
      ['BROKER_ERR_CONFIG_TYPE', 'cluster.replicas', 'three'],
      ['BROKER_ERR_CONFIG_TYPE', 'log', 'yes'],
      ['BROKER_ERR_CONFIG_TYPE', 'node.zone', 5],
    ]);
  });

  for (const [key, value, told] of [
    ['cluster.replicas', '0', /at least 1/],
    ['cluster.replicas', '8', /at most 7/],
    ['cluster.replicas', '2.5', /whole number/],
    ['cluster.shards', '1000', /power of two/],
    ['cluster.shards', '8', /at least 16/],
    ['cluster.consistency', 'available', /split/],
    ['mqtt.upgradeOutgoingQos', 'true', /MQTT-3\.8\.4-8/],
    ['mqtt.retainAvailable', 'yes', /must be `true` or `false`/],
    ['mqtt.protocolVersions', '3.1,4', /must be 3\.1, 3\.1\.1 or 5/],
    ['mqtt.assignedIdPrefix', 'a/b', /none of/],
    ['cluster.consistency', 'eventual', /`consistent`/],
    ['data.durability', 'ram', /`disk` or `memory`/],
    ['node.name', 'a/b', /letters/],
    ['mqtt.listen', '1883', /port is missing/],
    ['mqtt.listen', '127.0.0.1:99999', /65535/],
    ['mqtt.listen', '::1:1883', /brackets/],
    ['cluster.advertise', '0.0.0.0:7700', /wildcard/],
    ['cluster.join', 'a:1,b:0', /port 0/],
    ['cluster.discovery', 'dns:swim.example', /port is missing; write dns:NAME:PORT/],
    ['cluster.discovery', 'a:1,mdns:b:1', /no "mdns:"; write HOST:PORT, or begin with dns:/],
    ['admin.listen', 'http://127.0.0.1:1', /URL/],
  ] as const) {
    it(`${key}=${value}`, () => {
      const { error } = problemsOf({}, { ...NEEDED, [key]: value });
      assert.match(error.code, /^BROKER_ERR_CONFIG_(VALUE|TYPE)$/);
      assert.match(error.message, told);
    });
  }

  it('a missing name and data folder, both at once', () => {
    const { error, problems } = problemsOf({}, {});
    assert.equal(error.code, 'BROKER_ERR_CONFIG_MISSING');
    assert.deepEqual(
      problems.map(({ key }) => key),
      ['node.name', 'data.dir'],
    );
    assert.match(error.message, /--node-name/);
  });

  it('MQTT and admin off loopback', () => {
    for (const key of ['mqtt.listen', 'admin.listen']) {
      for (const host of ['0.0.0.0', '10.1.2.3', '127.0.0.1.example.org', '[::]', '127.1.1.256']) {
        const { error } = problemsOf({}, { ...NEEDED, [key]: `${host}:9` });
        assert.equal(error.code, 'BROKER_ERR_ADDRESS_NOT_LOOPBACK', `${key} ${host}`);
      }
      for (const host of ['127.0.0.1', '127.1.3.250', '[::1]', 'localhost']) {
        resolve({ flags: { [key]: `${host}:9` } });
      }
    }
  });

  it('takes MQTT off loopback where clients are asked who they are, or everybody may come', () => {
    for (const key of ['auth.required', 'auth.insecure'])
      resolve({ flags: { [key]: 'true', 'mqtt.listen': '0.0.0.0:9' } });
    const flags = { ...NEEDED, 'auth.required': 'true', 'admin.listen': '0.0.0.0:9' };
    assert.equal(problemsOf({}, flags).error.code, 'BROKER_ERR_ADDRESS_NOT_LOOPBACK');
  });

  it('discovery by multicast at the port of the cluster', () => {
    const listen = { 'cluster.listen': '127.0.0.1:7701' };
    for (const way of ['multicast:239.192.0.1:7701', 'multicast:239.192.0.1:7701@127.0.0.1']) {
      const { error } = problemsOf({}, { ...NEEDED, ...listen, 'cluster.discovery': way });
      assert.equal(error.code, 'BROKER_ERR_CONFIG_CONFLICT');
      assert.match(error.message, /a port of its own/);
    }
    resolve({ flags: { ...listen, 'cluster.discovery': 'multicast:239.192.0.1:7702' } });
  });

  it('the cluster off loopback without a keyring', () => {
    for (const flags of [
      { 'cluster.listen': '10.0.0.1:7700' },
      { 'cluster.advertise': '10.0.0.1:7700' },
      { 'cluster.advertise': 'n1.example:7700' },
    ]) {
      const { error } = problemsOf({}, { ...NEEDED, ...flags });
      assert.equal(error.code, 'BROKER_ERR_CLUSTER_KEY_REQUIRED', JSON.stringify(flags));
      assert.match(error.message, /shoal keyring generate/);
      resolve({ flags: { ...flags, 'cluster.keyringFile': '/etc/shoal/keyring.json' } });
    }
  });

  it('combinations that contradict each other', () => {
    for (const flags of [
      { 'mqtt.listen': '127.0.0.1:5', 'admin.listen': '127.0.0.1:5' },
      { 'cluster.listen': '0.0.0.0:7700' },
      { 'cluster.encryption': 'accept-clear' },
      { 'timings.silenceMs': '200', 'timings.heartbeatMs': '100' },
      { 'swim.protocolPeriodMs': '100', 'swim.probeTimeoutMs': '60' },
      { 'swim.unwellAfterMs': '2000', 'swim.deadAfterMs': '2000' },
    ]) {
      const { error } = problemsOf({}, { ...NEEDED, ...flags });
      assert.equal(error.code, 'BROKER_ERR_CONFIG_CONFLICT', JSON.stringify(flags));
    }
    const wide = { 'cluster.listen': '0.0.0.0:7700', 'cluster.advertise': 'n1:7700' };
    resolve({ flags: { ...wide, 'cluster.keyringFile': 'k' } });
    resolve({ flags: { 'swim.unwellAfterMs': '2000', 'swim.deadAfterMs': '0' } });
    resolve({ flags: { 'mqtt.listen': '127.0.0.1:0', 'admin.listen': '127.0.0.1:0' } });
  });

  it('a file that is not YAML, not a mapping, or has a key twice', () => {
    for (const file of ['a: [', '- a\n- b\n', 'just text', 'node: {}\nnode: {}\n']) {
      const { error } = problemsOf({ file, fileName: 'f.yaml' });
      assert.equal(error.code, 'BROKER_ERR_CONFIG_FILE');
      assert.match(error.message, /f\.yaml/);
    }
    const { error } = problemsOf({ file: `# ${'x'.repeat(1_048_576)}` });
    assert.equal(error.code, 'BROKER_ERR_CONFIG_FILE');
  });

  it('a hostile file without expanding it', () => {
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]'];
    for (let i = 0; i < 12; i++) {
      const name = String.fromCharCode(98 + i);
      const before = String.fromCharCode(97 + i);
      bomb.push(`${name}: &${name} [${Array(9).fill(`*${before}`).join(',')}]`);
    }
    const { error } = problemsOf({ file: bomb.join('\n') });
    assert.equal(error.code, 'BROKER_ERR_CONFIG_FILE');
  });
});
