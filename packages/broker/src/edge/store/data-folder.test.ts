import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BrokerError } from '../../errors.ts';
import { type Identity, loadIdentity } from '../../node/members/identity.ts';
import { Marks } from '../../node/members/marks.ts';
import { DataFolder } from './data-folder.ts';
import { readRunRecord, writeRunRecord } from './run-record.ts';

describe('the data folder (ADR 0017)', () => {
  let dir: string;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'shoal-folder-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  const open = (durability: 'disk' | 'memory' = 'disk') =>
    DataFolder.open({
      dir,
      durability,
      onFatal: (code) => assert.fail(code),
      log: (_level, message) => assert.fail(message),
    });

  const identify = (folder: DataFolder, wallMs: number): Promise<Identity> =>
    new Promise((resolve, reject) =>
      loadIdentity(folder.store, { name: 'n1', wallMs, random: Math.random }, (result) =>
        'error' in result ? reject(new Error(result.message)) : resolve(result),
      ),
    );

  /** One run: what it finds. @param how `killed` closes the store alone, as the lock needs it */
  async function run(
    wallMs: number,
    how: 'stopped' | 'killed',
    durability: 'disk' | 'memory' = 'disk',
  ): Promise<string | null> {
    const folder = await open(durability);
    await folder.identified(await identify(folder, wallMs));
    const { damage } = folder;
    if (how === 'stopped') await folder.close();
    else await folder.store.close();
    return damage;
  }

  /** What a reboot does to the record of the last run. */
  async function reboot(): Promise<void> {
    const last = await readRunRecord(join(dir, 'run'));
    assert.ok(last);
    await writeRunRecord(join(dir, 'run'), { ...last, machineBoot: 'an earlier one' });
  }

  it('is believed after a stop and after a kill', async () => {
    assert.equal(await run(100, 'stopped'), null);
    assert.equal(await run(200, 'killed'), null);
    assert.equal(await run(300, 'stopped'), null);
  });

  it('is not believed under memory when the machine started anew, unless it had been stopped', async () => {
    await run(100, 'killed', 'memory');
    await reboot();
    assert.match(String(await run(200, 'killed', 'memory')), /started anew/);
    const noted = await readRunRecord(join(dir, 'run'));
    assert.match(String(noted?.damage), /started anew/);
    // Until the store itself says so it is found again, whatever happens.
    assert.match(String(await run(300, 'stopped', 'memory')), /started anew/);
  });

  it('is believed under memory after a stop in order, and under disk after any', async () => {
    await run(100, 'stopped', 'memory');
    await reboot();
    assert.equal(await run(200, 'killed', 'disk'), null);
    await reboot();
    assert.equal(await run(300, 'stopped', 'memory'), null);
  });

  it('remembers that what was acknowledged was not synced, whatever it was started with', async () => {
    const folder = await open('disk');
    await folder.identified(await identify(folder, 100));
    folder.hooks.unsynced();
    await folder.store.close();
    await folder.close().catch(() => {});
    const last = await readRunRecord(join(dir, 'run'));
    assert.equal(last?.durability, 'memory');
  });

  it('forgets damage once the store says which copies are not whole', async () => {
    await run(100, 'killed', 'memory');
    await reboot();
    const folder = await open('memory');
    await folder.identified(await identify(folder, 200));
    folder.hooks.damageNoted();
    await folder.close();
    assert.equal(await run(300, 'stopped', 'memory'), null);
  });

  it('is not believed when its store is older than the last run', async () => {
    await run(100, 'stopped');
    const last = await readRunRecord(join(dir, 'run'));
    await writeRunRecord(join(dir, 'run'), { ...last!, bootEpoch: 150 });
    assert.match(String(await run(200, 'stopped')), /knows of run 100, the last one was 150/);
  });

  it('refuses to begin anew where a store is gone', async () => {
    await run(100, 'stopped');
    await rm(join(dir, 'store'), { recursive: true });
    await assert.rejects(run(200, 'stopped'), { code: 'BROKER_ERR_CORRUPT_STORE' });
  });

  it('is not believed when a record of its log is damaged, and says so before it opens it', async () => {
    const folder = await open();
    const identity = await identify(folder, 100);
    await folder.identified(identity);
    for (let i = 0; i < 9; i++)
      await new Promise<void>((done) =>
        folder.store.write([{ key: Uint8Array.of(9, i), value: new Uint8Array(50) }], true, done),
      );
    await folder.store.close();
    const path = join(dir, 'store', '000003.log');
    const log = await readFile(path);
    log[log.length - 200]! ^= 1;
    await writeFile(path, log);
    assert.match(String(await run(200, 'killed')), /000003\.log: the record at byte/);
  });

  it('refuses records of a later format as such', async () => {
    await run(100, 'stopped');
    await writeFile(join(dir, 'run'), '{"format":2}');
    const isNewer = (error: unknown) =>
      error instanceof BrokerError && error.code === 'BROKER_ERR_DATA_NEWER_FORMAT';
    await assert.rejects(run(200, 'stopped'), isNewer);
  });

  it('keeps marks over a kill; a slot that was torn says nothing', async () => {
    const folder = await open();
    const file = await folder.identified(await identify(folder, 100));
    const written: Promise<void>[] = [];
    const marks = new Marks({
      initial: file.initial,
      write: (at, bytes, done) => {
        written.push(new Promise((resolve) => file.write(at, bytes, resolve)));
        done();
      },
    });
    const mark = { promised: 9, view: 7, print: 0xffffffff, durable: 2 ** 40, commit: 12 };
    for (const shard of [0, 5, 1023]) marks.set(shard, { ...mark, commit: shard });
    marks.flush(0);
    assert.equal(written.length, 2);
    await Promise.all(written);
    await folder.store.close();
    const path = join(dir, 'marks');
    const bytes = await readFile(path);
    const read = new Marks({ initial: bytes, write: () => {} });
    assert.deepEqual(read.get(5), { ...mark, commit: 5 });
    assert.deepEqual(read.get(1023), { ...mark, commit: 1023 });
    assert.equal(read.get(4), undefined);
    bytes[5 * 32 + 12]! ^= 1;
    assert.equal(new Marks({ initial: bytes, write: () => {} }).get(5), undefined);
    await appendFile(path, 'x');
    assert.equal(await run(200, 'stopped'), null);
  });
});
