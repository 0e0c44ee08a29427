import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  checkKeyring,
  generateKeyText,
  keepKeyring,
  keyIdOf,
  loadKeyring,
  parseKey,
  readKeyring,
  writeKeyring,
} from './keyring-file.ts';

const one = new Uint8Array(32).fill(1);
const two = new Uint8Array(32).fill(2);

describe('keyring files', () => {
  let dir: string;
  let file: string;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'shoal-keyring-'));
    file = join(dir, 'ring.json');
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  const refused = (detail: RegExp) => ({ code: 'BROKER_ERR_KEYRING_FILE', detail });

  it('keep a ring for their owner alone, the primary first', async () => {
    await writeKeyring(file, [two, one]);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.deepEqual(await readKeyring(file), [two, one]);
    await writeKeyring(file, [one]);
    assert.deepEqual(await readKeyring(file), [one]);
    assert.deepEqual(await readdir(dir), ['ring.json']);
  });

  it('are not replaced where they must be new', async () => {
    await writeKeyring(file, [one], { fresh: true });
    await assert.rejects(writeKeyring(file, [two], { fresh: true }), refused(/exists already/));
    assert.deepEqual(await readKeyring(file), [one]);
  });

  it('are refused where others may read them', async () => {
    await writeKeyring(file, [one]);
    for (const mode of [0o640, 0o604, 0o620, 0o666]) {
      await chmod(file, mode);
      await assert.rejects(readKeyring(file), refused(/chmod 600/), mode.toString(8));
    }
    await chmod(file, 0o400);
    assert.deepEqual(await readKeyring(file), [one]);
  });

  it('are refused where they are damaged, without a word of what they hold', async () => {
    await writeKeyring(file, [one]);
    const good = await readFile(file, 'utf8');
    const secret = Buffer.from(one).toString('base64');
    for (const text of [
      '',
      good.slice(0, -10),
      good.replace('1169a4d2', '1169a4d3'),
      good.replaceAll('1169a4d2', '1169a4d3'),
      good.replace('AQEB', 'AQEC'),
      good.replace('"keys"', '"more": 1, "keys"'),
      '{"primary":"1169a4d2","keys":{}}',
      'x'.repeat(20_000),
    ]) {
      await writeFile(file, text, { mode: 0o600 });
      const error = await readKeyring(file).catch((thrown: unknown) => thrown);
      assert.equal((error as { code?: unknown }).code, 'BROKER_ERR_KEYRING_FILE', text);
      assert.ok(!String(error).includes(secret.slice(0, 8)));
    }
    await assert.rejects(readKeyring(join(dir, 'absent')), refused(/ENOENT/));
    await assert.rejects(readKeyring(dir), refused(/is not a file/));
  });

  it('are checked without being copied, where the data folder has none', async () => {
    await checkKeyring(dir, undefined);
    await assert.rejects(checkKeyring(dir, file), refused(/ENOENT/));
    await writeKeyring(file, [one]);
    await checkKeyring(join(dir, 'absent'), file);
    assert.deepEqual(await readdir(dir), ['ring.json']);
    await rm(file);
    await keepKeyring(dir, [one]);
    await checkKeyring(dir, file);
  });

  it('come from outside once; from then on the data folder has its own', async () => {
    assert.equal(await loadKeyring(dir, undefined), undefined);
    await assert.rejects(loadKeyring(dir, file), refused(/ENOENT/));
    await writeKeyring(file, [one]);
    assert.deepEqual(await loadKeyring(dir, file), [one]);
    await keepKeyring(dir, [two]);
    assert.deepEqual(await loadKeyring(dir, file), [two]);
    await rm(file);
    assert.deepEqual(await loadKeyring(dir, file), [two]);
    assert.deepEqual(await loadKeyring(dir, undefined), [two]);
  });

  it('take keys as text, and say nothing of those that are none', () => {
    const text = generateKeyText();
    assert.match(keyIdOf(parseKey(`  ${text}\n`)), /^[0-9a-f]{8}$/);
    for (const bad of ['', 'secret', text.slice(1), `${text}=`, `${text} ${text}`]) {
      assert.throws(
        () => parseKey(bad),
        (error: Error & { code?: string }) =>
          error.code === 'BROKER_ERR_KEY_INVALID' && (bad === '' || !error.message.includes(bad)),
      );
    }
  });
});
