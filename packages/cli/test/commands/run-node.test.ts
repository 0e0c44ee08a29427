import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const FAKE_NODE = fileURLToPath(new URL('fake-node.ts', import.meta.url));

/** A child whose output can be awaited. */
class Child {
  readonly process: ChildProcess;
  readonly closed: Promise<number | null>;
  text = '';
  #wanted: (() => void) | undefined;

  constructor(behaviour: string) {
    this.process = spawn(
      process.execPath,
      ['--conditions=shoal-source', '--no-warnings', FAKE_NODE, behaviour],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const collect = (chunk: Buffer) => {
      this.text += chunk;
      this.#wanted?.();
    };
    this.process.stdout?.on('data', collect);
    this.process.stderr?.on('data', collect);
    this.closed = new Promise((resolve) => this.process.on('close', resolve));
  }

  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.text)) {
      const more = new Promise<'more'>((resolve) => {
        this.#wanted = () => resolve('more');
      });
      const first = await Promise.race([more, this.closed]);
      if (first !== 'more') assert.match(this.text, pattern);
    }
  }
}

describe('shoal start, the process', function () {
  this.timeout(60_000);

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`prints one ready line, stops in order at ${signal} and exits 0`, async () => {
      const child = new Child('well');
      await child.until(/^ready .*\n/m);
      const line = /^ready (.*)$/m.exec(child.text)?.[1] ?? '';
      assert.equal(JSON.parse(line).pid, child.process.pid);
      child.process.kill(signal);
      assert.equal(await child.closed, 0);
      assert.match(child.text, /stopping/);
      assert.equal(child.text.split('ready ').length, 2);
    });
  }

  it('reads certificates again at SIGHUP, and goes on', async () => {
    const child = new Child('well');
    await child.until(/^ready /m);
    child.process.kill('SIGHUP');
    await child.until(/reloading/);
    child.process.kill('SIGTERM');
    assert.equal(await child.closed, 0);
  });

  it('ends at once at a second signal: 130 and 143', async () => {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const child = new Child('slow-stop');
      await child.until(/^ready /m);
      child.process.kill('SIGTERM');
      await child.until(/stopping/);
      child.process.kill(signal);
      assert.equal(await child.closed, code);
    }
  });

  it('stops in order before it is ready, without a ready line', async () => {
    const child = new Child('never-ready');
    await child.until(/started/);
    child.process.kill('SIGTERM');
    assert.equal(await child.closed, 0);
    assert.doesNotMatch(child.text, /ready/);
  });

  it('exits with the code of what kept it from starting', async () => {
    const child = new Child('cannot-start');
    assert.equal(await child.closed, 30);
    assert.match(child.text, /in use by another node: \/data\n.*\[BROKER_ERR_DATA_LOCKED\]/);
  });

  it('exits with the code of a fatal error while it serves', async () => {
    const child = new Child('fatal');
    assert.equal(await child.closed, 36);
    assert.match(child.text, /\[BROKER_ERR_DISK_FAILED\]/);
  });

  it('exits 0 once the node was removed from its cluster', async () => {
    const child = new Child('removed');
    assert.equal(await child.closed, 0);
  });

  it('exits 80 at a bug, with its stack', async () => {
    const child = new Child('throws');
    assert.equal(await child.closed, 80);
    assert.match(child.text, /\[BROKER_ERR_INTERNAL\]\nTypeError: a bug\n\s+at /);
  });
});
