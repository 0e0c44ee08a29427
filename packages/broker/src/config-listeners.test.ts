import assert from 'node:assert/strict';
import { ConfigError, type ConfigInput, resolveConfig } from './config.ts';

const NEEDED = { 'node.name': 'a', 'data.dir': '/tmp/a' };

function resolve(input: Partial<ConfigInput> = {}) {
  return resolveConfig({ env: {}, ...input, flags: { ...NEEDED, ...input.flags } });
}

function problemsOf(input: Partial<ConfigInput>) {
  try {
    resolve(input);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return { error, problems: error.problems };
  }
  assert.fail('the configuration was accepted');
}

describe('the listeners of a configuration', () => {
  const listenersOf = (input: Partial<ConfigInput>) =>
    resolve(input).mqtt.listeners.map(({ name, transport, address }) => [name, transport, address]);
  const problemsWith = (listeners: string) =>
    problemsOf({ file: `mqtt:\n  listeners: ${listeners}\n`, fileName: 'f' });

  it('are one on 127.0.0.1:1883 by default', () => {
    assert.deepEqual(listenersOf({}), [['tcp-1', 'tcp', '127.0.0.1:1883']]);
  });

  it('have a short form: one address or several', () => {
    const two = [
      ['tcp-1', 'tcp', '127.0.0.1:1'],
      ['tcp-2', 'tcp', '[::1]:2'],
    ];
    const addresses = ['127.0.0.1:1', '[::1]:2'];
    assert.deepEqual(listenersOf({ flags: { 'mqtt.listen': addresses } }), two);
    assert.deepEqual(listenersOf({ env: { SHOAL_MQTT_LISTEN: addresses.join(',') } }), two);
    assert.deepEqual(listenersOf({ file: 'mqtt: {listen: "127.0.0.1:1"}' }), two.slice(0, 1));
  });

  it('have a long form, in a file or as one line of YAML, which replaces the default', () => {
    const line =
      '[{name: a, transport: tcp, address: "127.0.0.1:1"}, {name: b, address: "[::1]:2"}]';
    const both = [
      ['a', 'tcp', '127.0.0.1:1'],
      ['b', 'tcp', '[::1]:2'],
    ];
    assert.deepEqual(listenersOf({ file: `mqtt:\n  listeners: ${line}\n` }), both);
    assert.deepEqual(listenersOf({ env: { SHOAL_MQTT_LISTENERS: line } }), both);
    const flags = { 'mqtt.listeners': line, 'mqtt.listen': '127.0.0.1:3' };
    assert.deepEqual(listenersOf({ flags }), [...both, ['tcp-1', 'tcp', '127.0.0.1:3']]);
  });

  for (const [entry, key, code, told] of [
    ['[{name: a}]', '[0].address', 'MISSING', /name: local, transport: tcp/],
    ['[{name: a, address: "1883"}]', '[0].address', 'VALUE', /port is missing/],
    ['[{name: a b, address: "127.0.0.1:1"}]', '[0].name', 'VALUE', /letters/],
    ['[{name: a, address: "127.0.0.1:1", transport: quic}]', '[0].transport', 'VALUE', /`tcp`/],
    ['[{name: a, address: "127.0.0.1:1", port: 1}]', '[0].port', 'UNKNOWN_KEY', /no such field/],
    ['["127.0.0.1:1"]', '[0]', 'TYPE', /a mapping, as in/],
    ['"127.0.0.1:1"', '', 'TYPE', /a list/],
    ['[]', '', 'VALUE', /at least 1 elements/],
  ] as const) {
    it(`refuse ${entry} by its field, with what to write`, () => {
      const { problems } = problemsWith(entry);
      const named = problems.map((problem) => [problem.code, problem.key, problem.origin]);
      assert.deepEqual(named, [[`BROKER_ERR_CONFIG_${code}`, `mqtt.listeners${key}`, 'file f']]);
      assert.match(problems[0]!.text, told);
    });
  }

  it('have a short form for each transport', () => {
    const listener = (text: string) =>
      resolve({ flags: { 'mqtt.listen': [text] } }).mqtt.listeners[0];
    const files = { cert: ['/c.pem', '/d.pem'], key: ['/c.key', '/d.key'] };
    assert.deepEqual(
      listener('tls://:8883?cert=/c.pem&key=/c.key&cert=/d.pem&key=/d.key&minVersion=TLSv1.3'),
      {
        name: 'tls-1',
        transport: 'tls',
        address: '127.0.0.1:8883',
        ...files,
        clientCertificate: 'none',
        minVersion: 'TLSv1.3',
      },
    );
    assert.deepEqual(listener('ws://[::1]:8080/live?origins=https://a.example'), {
      name: 'ws-1',
      transport: 'ws',
      address: '[::1]:8080',
      path: '/live',
      origins: ['https://a.example'],
    });
    assert.equal(listener('ws://:8080')?.path, '/mqtt');
    assert.deepEqual(listener('unix:///run/shoal.sock?mode=600'), {
      name: 'unix-1',
      transport: 'unix',
      address: '/run/shoal.sock',
      mode: '600',
    });
    assert.deepEqual(listener('tcp://127.0.0.1:1?proxyFrom=127.0.0.1&ipv6Only=true'), {
      name: 'tcp-1',
      transport: 'tcp',
      address: '127.0.0.1:1',
      proxyFrom: ['127.0.0.1'],
      ipv6Only: true,
    });
  });

  for (const [text, told] of [
    ['quic://127.0.0.1:1', /begin with tcp:\/\/, tls:\/\//],
    ['tls://:8883', /^cert must be set for tls/],
    ['tls://:8883?cert=a&cert=b&key=c', /^key must name a file for each of the 2 in cert/],
    ['tls://:8883?cert=a&key=b&clientCertificate=required', /^clientCa must be set/],
    ['tls://:8883?cert=a&key=b&clientCertificate=maybe', /^clientCertificate must be `none`/],
    ['ws://:8080/a?color=red', /has no field color/],
    ['ws://:8080/a?path=/b', /path is given twice/],
    ['ws://:8080/a b', /^path must begin with \//],
    ['ws://:8080?origins=a.example', /^origins must be an origin as browsers send it/],
    ['ws://:8080?mode=660', /^mode is for transport unix, not for ws/],
    ['unix://run/shoal.sock', /absolute path/],
    [`unix:///${'a'.repeat(107)}`, /at most 107 bytes/],
    ['unix:///a?mode=999', /^mode must be three octal digits/],
    ['127.0.0.1:1?proxyFrom=x', /must be HOST:PORT/],
    ['tcp://127.0.0.1:1?proxyFrom=x', /^proxyFrom must be an IP address/],
    ['tcp://127.0.0.1:1?maxConnections=many', /^maxConnections must be a number/],
    ['tcp://127.0.0.1:1?protocolVersions=4', /^protocolVersions must be `5` or `3.1`/],
    ['tcp://127.0.0.1:1?proxyFrom=10.0.0.0/33', /^proxyFrom must be an IP address/],
  ] as const) {
    it(`refuse ${text.slice(0, 60)} with what is wrong`, () => {
      const { problems } = problemsOf({ flags: { 'mqtt.listen': [text] } });
      assert.deepEqual(
        problems.map(({ code, key }) => [code, key]),
        [['BROKER_ERR_CONFIG_VALUE', 'mqtt.listen[0]']],
      );
      assert.match(problems[0]!.text, told);
    });
  }

  for (const [fields, key, told] of [
    ['transport: tls', 'cert', /must be set for tls: a PEM file/],
    ['transport: ws, mode: "660"', 'mode', /is for transport unix/],
    ['transport: unix', 'address', /absolute path/],
    ['transport: tls, cert: a, key: b, clientCa: c', 'clientCa', /needs clientCertificate/],
    ['ipv6Only: maybe', 'ipv6Only', /`true` or `false`/],
    ['proxyFrom: [10.0.0.0/8, x]', 'proxyFrom[1]', /must be an IP address/],
  ] as const) {
    it(`refuse {${fields}} by its field`, () => {
      const { problems } = problemsWith(`[{name: a, address: "127.0.0.1:1", ${fields}}]`);
      const told1 = problems.find((problem) => problem.key === `mqtt.listeners[0].${key}`);
      assert.match(told1?.text ?? '', told);
    });
  }

  it('may allow less than the node, and not more', () => {
    const limits = 'maxConnections: 5, maxPacketBytes: 2000, protocolVersions: [3.1, "3.1.1", 5]';
    const file = `mqtt: {listeners: [{name: a, address: "127.0.0.1:1", ${limits}}]}`;
    const [listener] = resolve({ file }).mqtt.listeners;
    assert.equal(listener?.maxConnections, 5);
    assert.equal(listener?.maxPacketBytes, 2000);
    assert.deepEqual(listener?.protocolVersions, ['3.1', '3.1.1', '5']);
    const small = 'limits: {maxPacketBytes: 1500}';
    const { problems } = problemsOf({ file: `${file}\n${small}`, fileName: 'f' });
    assert.deepEqual(
      problems.map(({ code, key }) => [code, key]),
      [['BROKER_ERR_CONFIG_CONFLICT', 'mqtt.listeners[0].maxPacketBytes']],
    );
    const text = 'tcp://127.0.0.1:1?maxConnections=5&protocolVersions=5&protocolVersions=3.1.1';
    const [short] = resolve({ flags: { 'mqtt.listen': [text] } }).mqtt.listeners;
    assert.equal(short?.maxConnections, 5);
    assert.deepEqual(short?.protocolVersions, ['5', '3.1.1']);
  });

  it('may offer less than the node by each of its options, and more by none', () => {
    const file = (own: string, node = '') =>
      `mqtt: {${node}listeners: [{name: a, address: "127.0.0.1:1", ${own}}]}`;
    const own = 'publishesInFlight: 5, serverKeepAlive: 60, maximumQos: 1, retainAvailable: false';
    const [listener] = resolve({ file: file(own) }).mqtt.listeners;
    assert.deepEqual([listener?.publishesInFlight, listener?.retainAvailable], [5, false]);
    for (const [more, node, field, told] of [
      ['topicLevels: 300', '', 'topicLevels', /at most limits\.topicLevels \(200\)/],
      ['topicAliases: 65', '', 'topicAliases', /at most limits\.topicAliases \(64\)/],
      ['maximumQos: 2', 'maximumQos: 0, ', 'maximumQos', /at most mqtt\.maximumQos \(0\)/],
      ['serverKeepAlive: 0', 'serverKeepAlive: 9, ', 'serverKeepAlive', /\(9\), and not 0/],
      ['retainAvailable: true', 'retainAvailable: false, ', 'retainAvailable', /must be false as/],
    ] as const) {
      const { problems } = problemsOf({ file: file(more, node), fileName: 'f' });
      assert.deepEqual(
        problems.map(({ code, key }) => [code, key]),
        [['BROKER_ERR_CONFIG_CONFLICT', `mqtt.listeners[0].${field}`]],
      );
      assert.match(problems[0]!.text, told);
    }
    const text = 'tcp://127.0.0.1:1?payloadBytes=9&sharedSubscriptionAvailable=false';
    const [short] = resolve({ flags: { 'mqtt.listen': [text] } }).mqtt.listeners;
    assert.deepEqual([short?.payloadBytes, short?.sharedSubscriptionAvailable], [9, false]);
  });

  it('speak a version of MQTT that the node speaks', () => {
    const file = (of: string, mqtt: string) =>
      `mqtt: {protocolVersions: ${mqtt}, listeners: [{name: a, address: "127.0.0.1:1", protocolVersions: ${of}}]}`;
    const { problems } = problemsOf({ file: file('[5]', '[3.1, "3.1.1"]'), fileName: 'f' });
    assert.deepEqual(
      problems.map(({ code, key }) => [code, key]),
      [['BROKER_ERR_CONFIG_CONFLICT', 'mqtt.listeners[0].protocolVersions']],
    );
    assert.match(problems[0]!.text, /mqtt\.protocolVersions \(3\.1, 3\.1\.1\): no client could/);
    for (const [of, mqtt] of [
      ['[5]', '["5.0"]'],
      ['["3.1"]', '[3.1, 5]'],
      ['["3.1.1", "5"]', '[5]'],
    ] as const)
      assert.equal(resolve({ file: file(of, mqtt) }).mqtt.listeners.length, 1);
  });

  it('have names of their own', () => {
    const { problems } = problemsWith(
      '[{name: a, address: "127.0.0.1:1"}, {name: a, address: "127.0.0.1:2"}]',
    );
    assert.deepEqual(
      problems.map(({ code, key, value }) => [code, key, value]),
      [['BROKER_ERR_CONFIG_CONFLICT', 'mqtt.listeners[1].name', 'a']],
    );
    assert.match(
      problems[0]!.text,
      /mqtt\.listeners\[0\] too: give each listener a name of its own/,
    );
  });

  it('have addresses of their own, on loopback', () => {
    const { problems } = problemsWith(
      '[{name: a, address: "127.0.0.1:7700"}, {name: b, address: "10.0.0.1:2"}]',
    );
    assert.deepEqual(problems.map(({ code, key }) => [code, key]).sort(), [
      ['BROKER_ERR_ADDRESS_NOT_LOOPBACK', 'mqtt.listeners[1].address'],
      ['BROKER_ERR_CONFIG_CONFLICT', 'cluster.listen'],
    ]);
  });

  it('show no default that is not used', () => {
    const flags = { 'mqtt.listeners': '[{name: a, address: "127.0.0.1:1"}]' };
    assert.deepEqual(resolve({ flags }).mqtt.listen, []);
    assert.deepEqual(resolve().mqtt.listen, ['127.0.0.1:1883']);
  });

  it('of transport unix are on this machine', () => {
    const address = '/run/shoal.sock';
    const { listeners } = resolve({ flags: { 'mqtt.listen': [`unix://${address}`] } }).mqtt;
    assert.equal(listeners[0]?.address, address);
    for (const scheme of ['tls', 'ws', 'wss']) {
      const files = scheme === 'ws' ? '' : '?cert=a&key=b';
      const listen = [`${scheme}://0.0.0.0:1${files}`];
      const { problems } = problemsOf({ flags: { 'mqtt.listen': listen } });
      assert.equal(problems[0]?.code, 'BROKER_ERR_ADDRESS_NOT_LOOPBACK');
    }
  });

  it('are at least one', () => {
    const { problems } = problemsOf({ file: 'mqtt: {listen: []}' });
    assert.deepEqual(
      problems.map(({ code, key }) => [code, key]),
      [['BROKER_ERR_CONFIG_CONFLICT', 'mqtt.listen']],
    );
  });
});
