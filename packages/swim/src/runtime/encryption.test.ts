import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { EventEmitter, once } from 'node:events';
import { connect } from 'node:net';
import { swimConfig } from '../config.ts';
import type { SwimMember } from '../core/message.ts';
import { Keyring, keyId } from '../security/keyring.ts';
import { Sealer } from '../security/sealer.ts';
import type { TransportOpener } from '../transport.ts';
import { SwimAgent } from './agent.ts';
import type { SwimAgentOptions } from './agent-options.ts';
import { socketTransport } from './bind.ts';
import { encodeKeyringMessage } from './keyring-message.ts';

const config = swimConfig({}, 'test');
const one = new Uint8Array(32).fill(1);
const two = new Uint8Array(32).fill(2);
const running = new Set<Node>();

/** An agent, what it told, and every state in which it ever saw a member. */
class Node {
  readonly agent: SwimAgent;
  readonly told: EventEmitter;
  readonly notices: string[];
  readonly seen: Set<string>;
  readonly log: string[];

  private constructor(
    agent: SwimAgent,
    told: EventEmitter,
    log: string[],
    notices: string[],
    seen: Set<string>,
  ) {
    this.agent = agent;
    this.told = told;
    this.log = log;
    this.notices = notices;
    this.seen = seen;
  }

  static async start(name: string, options: Partial<SwimAgentOptions> = {}): Promise<Node> {
    const told = new EventEmitter();
    const log: string[] = [];
    const notices: string[] = [];
    const seen = new Set<string>();
    const agent = await SwimAgent.start({
      config,
      name,
      bootEpoch: 1,
      clusterId: '',
      listen: '127.0.0.1:0',
      meta: new Uint8Array(),
      keyring: [one],
      ...options,
      onMembers: (members) => {
        for (const member of members) seen.add(`${member.name} ${member.state}`);
        told.emit('told');
      },
      onNotice: (code) => {
        notices.push(code);
        told.emit('told');
      },
      log: (_level, message) => {
        log.push(message);
      },
    });
    const node = new Node(agent, told, log, notices, seen);
    running.add(node);
    return node;
  }

  /** Resolves as soon as the condition holds; the test's own timeout is the limit. */
  async until(condition: (members: readonly SwimMember[]) => boolean): Promise<void> {
    while (!condition(this.agent.members())) await once(this.told, 'told');
  }

  async sees(...names: string[]): Promise<void> {
    await this.until((members) =>
      names.every((name) => members.some((m) => m.name === name && m.state === 'alive')),
    );
  }

  /** Keys as "id" or "id*" for the primary, of every member. */
  async rings(): Promise<Record<string, string>> {
    const results = await this.agent.keyring.list();
    return Object.fromEntries(
      results.map(({ name, keys, errorCode }) => [
        name,
        errorCode ?? (keys ?? []).map((key) => `${key.id}${key.primary ? '*' : ''}`).join(' '),
      ]),
    );
  }

  async stop(): Promise<void> {
    running.delete(this);
    await this.agent.stop();
  }
}

async function three(options: Partial<SwimAgentOptions> = {}): Promise<[Node, Node, Node]> {
  const a = await Node.start('a', { clusterId: 'demo', ...options });
  const seeds = [a.agent.address];
  const b = await Node.start('b', { seeds, ...options });
  const c = await Node.start('c', { seeds, ...options });
  for (const node of [a, b, c]) await node.sees('a', 'b', 'c');
  return [a, b, c];
}

/** Turns of the event loop until the condition holds. */
async function turns(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

function portOf(node: Node): number {
  return Number(node.agent.address.split(':')[1]);
}

/** Everything that comes back on a stream until the other side closes it. */
async function ask(port: number, message: Uint8Array): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => {});
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(0x53);
  prefix.writeUInt32BE(message.length, 1);
  socket.write(Buffer.concat([prefix, message]));
  await once(socket, 'close');
  return Buffer.concat(chunks);
}

describe('SwimAgent with a keyring', function () {
  this.timeout(20_000);

  afterEach(async () => {
    for (const node of running) await node.agent.stop();
    running.clear();
  });

  it('reads nothing that was for another member, though it is copied', async () => {
    let copying = false;
    let [to, other] = ['', ''];
    const transport: TransportOpener = async (options) => {
      const inner = await socketTransport()(options);
      const send = (at: string, bytes: Uint8Array): void => {
        inner.send(at, bytes);
        if (copying && at === to) inner.send(other, bytes);
      };
      return {
        address: inner.address,
        failed: 0,
        send,
        request: (...request) => inner.request(...request),
        close: () => inner.close(),
      };
    };
    const [a, b, c] = await three({ transport });
    [to, other, copying] = [b.agent.address, c.agent.address, true];
    await turns(() => c.agent.counters.sealForged >= 5);
    assert.equal(a.agent.counters.declaredFaulty, 0);
    assert.ok(!a.seen.has('b faulty') && !c.seen.has('b faulty'));
    for (const node of [a, b, c]) await node.stop();
  });

  it('forms a cluster, and tells it from others with the same key', async () => {
    const [a, , c] = await three();
    assert.equal(c.agent.clusterId, 'demo');
    const other = await Node.start('o', { clusterId: 'other' });
    await assert.rejects(a.agent.join(other.agent.address), { code: 'SWIM_ERR_OTHER_CLUSTER' });
    const waiting = await Node.start('w');
    await a.agent.join(waiting.agent.address);
    await c.sees('w');
  });

  it('finds a dead member faulty, and says farewell to one that leaves', async () => {
    const [a, b, c] = await three();
    await b.stop();
    await c.agent.leave();
    await a.until((members) => members.map((m) => m.state).join() === 'alive,faulty,left');
  });

  it('is closed to another key, which changes nothing and hears nothing', async () => {
    const [a] = await three();
    const stranger = await Node.start('s', { keyring: [two], seeds: [a.agent.address] });
    await assert.rejects(stranger.agent.join(a.agent.address), { code: 'SWIM_ERR_UNREACHABLE' });
    await stranger.until(() => stranger.notices.includes('SWIM_ERR_KEY_REFUSED'));
    assert.deepEqual(a.notices, ['SWIM_ERR_KEY_UNKNOWN']);
    assert.ok(a.agent.counters.sealKeyUnknown > 0);
    assert.ok(a.log.some((line) => line.includes(keyId(two))));
    assert.equal(a.agent.members().length, 3);
    assert.equal(stranger.agent.members().length, 1);
  });

  it('is closed to messages in clear: no answer, a counter and nothing else', async () => {
    const [a] = await three();
    const clear = await Node.start('x', { clusterId: 'demo', keyring: undefined as never });
    await assert.rejects(clear.agent.join(a.agent.address), { code: 'SWIM_ERR_UNREACHABLE' });
    await a.until(() => a.notices.includes('SWIM_ERR_CLEAR_REFUSED'));
    const refused = a.agent.counters.clearRefused;
    assert.ok(refused > 0);
    // Among members all goes on: they met by streams, and now probe each other.
    const { counters } = a.agent;
    while (counters.packetsIn === 0 || counters.packetsOut === 0) await new Promise(setImmediate);
    assert.equal((await ask(portOf(a), Buffer.from('Sclear'))).length, 0);
    assert.ok(a.agent.counters.clearRefused > refused);
    assert.equal(a.agent.members().length, 3);
  });

  it('answers no datagram that it cannot authenticate', async () => {
    const [a] = await three();
    const socket = createSocket('udp4');
    let answers = 0;
    socket.on('message', () => {
      answers++;
    });
    const sealer = new Sealer({ keyring: Keyring.of([one]), clusterId: 'demo', sendersMax: 1 });
    const forged = Buffer.from(sealer.seal('datagram', Buffer.alloc(100)));
    forged[60] = (forged[60] as number) ^ 1;
    const noise = [Buffer.from('S'), Buffer.alloc(1_400, 0x45), forged];
    for (const bytes of noise) {
      await new Promise((resolve) => socket.send(bytes, portOf(a), '127.0.0.1', resolve));
    }
    assert.equal((await ask(portOf(a), forged)).length, 0);
    await turns(() => a.agent.counters.sealForged === 2);
    assert.equal(answers, 0);
    socket.close();
  });

  it('rotates the key while it runs: no member is suspected', async () => {
    const kept: string[] = [];
    const onKeyring = (keys: readonly Uint8Array[]): void => {
      kept.push(keys.map((key) => keyId(key)).join(' '));
    };
    const [a, b, c] = await three({ onKeyring });
    const [first, second] = [keyId(one), keyId(two)];
    await assert.rejects(a.agent.keyring.use(second), { code: 'SWIM_ERR_KEY_MISSING' });
    await a.agent.keyring.install(two);
    const installed = `${first}* ${second}`;
    assert.deepEqual(await b.rings(), { a: installed, b: installed, c: installed });
    await b.agent.keyring.use(second);
    await assert.rejects(c.agent.keyring.remove(second), { code: 'SWIM_ERR_KEY_PRIMARY' });
    await c.agent.keyring.remove(first);
    const rotated = `${second}*`;
    assert.deepEqual(await a.rings(), { a: rotated, b: rotated, c: rotated });
    assert.deepEqual(kept.slice(-3), [second, second, second]);
    assert.equal(kept.length, 9);
    const { probes } = c.agent.counters;
    await turns(() => c.agent.counters.probes >= probes + 4);
    a.agent.setMeta(Buffer.from('after'));
    for (const node of [b, c]) {
      await node.until((members) => Buffer.from(members[0]?.meta ?? []).toString() === 'after');
    }
    for (const node of [a, b, c]) {
      assert.deepEqual([...node.seen].sort(), ['a alive', 'b alive', 'c alive']);
      assert.equal(node.agent.counters.sealKeyUnknown, 0);
    }
  });

  it('names the member that cannot keep a key, which then has not changed', async () => {
    const a = await Node.start('a', { clusterId: 'demo' });
    const b = await Node.start('b', {
      seeds: [a.agent.address],
      onKeyring: () => Promise.reject(new Error('disk full')),
    });
    await a.sees('a', 'b');
    const results = await a.agent.keyring.install(two);
    assert.deepEqual(results[1], { name: 'b', errorCode: 'SWIM_ERR_KEYRING_STORE' });
    assert.deepEqual(await b.rings(), { a: `${keyId(one)}* ${keyId(two)}`, b: `${keyId(one)}*` });
    await assert.rejects(a.agent.keyring.use(keyId(two)), /On b\./);
    assert.deepEqual((await a.rings())['a'], `${keyId(one)}* ${keyId(two)}`);
  });

  it('keeps a member with old keys out until it is started with the present ones', async () => {
    const [a, b, c] = await three();
    const listen = c.agent.address;
    await c.stop();
    await a.until((members) => members[2]?.state === 'faulty');
    await a.agent.keyring.install(two);
    await a.agent.keyring.use(keyId(two));
    await a.agent.keyring.remove(keyId(one));
    const seeds = [a.agent.address];
    const old = await Node.start('c', { bootEpoch: 2, clusterId: 'demo', listen, seeds });
    await old.until(() => old.notices.includes('SWIM_ERR_KEY_UNKNOWN'));
    assert.ok(old.log.some((line) => line.includes(keyId(two))));
    assert.equal(a.agent.members()[2]?.state, 'faulty');
    await old.stop();
    const back = { bootEpoch: 3, clusterId: 'demo', listen, seeds, keyring: [two] };
    const present = await Node.start('c', back);
    for (const node of [a, b, present]) await node.sees('a', 'b', 'c');
  });

  it('honours a request about the keyring only where it is sealed, and for this process', async () => {
    const [a] = await three();
    const install = {
      op: 'install',
      key: Buffer.from(two).toString('base64'),
      instance: 'of another life',
    } as const;
    const request = encodeKeyringMessage(install);
    assert.equal((await ask(portOf(a), request)).length, 0);
    const sealer = new Sealer({ keyring: Keyring.of([one]), clusterId: 'demo', sendersMax: 4 });
    const sealed = sealer.seal('request', request);
    const answer = (await ask(portOf(a), sealed)).subarray(5);
    const opened = sealer.open('response', answer, sealed);
    assert.match(Buffer.from(opened?.bytes ?? []).toString(), /SWIM_ERR_MALFORMED/);
    const foreign = new Sealer({ keyring: Keyring.of([one]), clusterId: 'other', sendersMax: 4 });
    assert.equal((await ask(portOf(a), foreign.seal('request', request))).length, 0);
    assert.deepEqual((await a.rings())['a'], `${keyId(one)}*`);
  });

  it('moves a running cluster to encryption in three rounds', async () => {
    const names = ['a', 'b', 'c'];
    const nodes = new Map<string, Node>();
    const restart = async (name: string, epoch: number, options: Partial<SwimAgentOptions>) => {
      const before = nodes.get(name);
      await before?.stop();
      const seeds = [...nodes.values()].map((node) => node.agent.address);
      const listen = before?.agent.address ?? '127.0.0.1:0';
      const started = { bootEpoch: epoch, clusterId: 'demo', listen, seeds, ...options };
      nodes.set(name, await Node.start(name, started));
      for (const node of nodes.values()) {
        await node.until((members) =>
          members.some((m) => m.name === name && m.bootEpoch === epoch && m.state === 'alive'),
        );
      }
    };
    const rounds: Partial<SwimAgentOptions>[] = [
      { keyring: undefined as never },
      { encryption: 'send-clear' },
      { encryption: 'accept-clear' },
      {},
    ];
    for (const [epoch, options] of rounds.entries()) {
      for (const name of names) await restart(name, epoch, options);
      for (const node of nodes.values()) await node.sees(...names);
    }
    for (const node of nodes.values()) assert.deepEqual(node.notices, []);
  });

  it('leaves loopback with a key only, or where told that only members are there', async () => {
    const clear = { keyring: undefined as never };
    const required = { code: 'SWIM_ERR_KEY_REQUIRED' };
    await assert.rejects(Node.start('a', { ...clear, listen: '0.0.0.0:0' }), required);
    await assert.rejects(Node.start('a', { ...clear, advertise: '192.0.2.1:1' }), required);
    await assert.rejects(Node.start('a', { ...clear, advertise: 'node.example:1' }), required);
    await Node.start('a', { ...clear, advertise: 'localhost:1' });
    await Node.start('b', { listen: '0.0.0.0:0', advertise: '192.0.2.1:1' });
    const insecure = { ...clear, insecure: true, listen: '0.0.0.0:0', advertise: '192.0.2.1:1' };
    const c = await Node.start('c', insecure);
    await assert.rejects(c.agent.keyring.list(), { code: 'SWIM_ERR_NO_KEYRING' });
    await assert.rejects(Node.start('d', { keyring: [] }), { code: 'SWIM_ERR_KEY_INVALID' });
  });
});
