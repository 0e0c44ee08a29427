import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StateFile } from './state-file.ts';

describe('StateFile', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'swim-state-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it('gives a higher epoch at each start, whatever the clock says', async () => {
    const path = join(folder, 'epoch');
    assert.equal(await new StateFile(path).next(5_000), 5_000);
    assert.equal(await new StateFile(path).next(1_000), 5_001);
    assert.equal(await readFile(path, 'utf8'), 'boot-epoch 5001\n');
    await new StateFile(path).keep(9_000);
    assert.equal(await new StateFile(path).next(1_000), 9_001);
  });

  it('refuses a start after the highest epoch, and leaves the file as it was', async () => {
    const path = join(folder, 'epoch');
    const highest = `boot-epoch ${Number.MAX_SAFE_INTEGER}\n`;
    await writeFile(path, highest);
    for (const atLeast of [1, Number.NaN, 2 ** 53]) {
      await assert.rejects(new StateFile(path).next(atLeast), { code: 'SWIM_ERR_CONFIG' });
      assert.equal(await readFile(path, 'utf8'), highest);
    }
  });

  it('refuses a file that is something else, and a folder that is not there', async () => {
    const path = join(folder, 'epoch');
    for (const text of ['', 'boot-epoch x\n', 'boot-epoch 1', 'boot-epoch 9999999999999999\n']) {
      await writeFile(path, text);
      await assert.rejects(new StateFile(path).next(1), { code: 'SWIM_ERR_CONFIG' });
    }
    const nowhere = new StateFile(join(folder, 'none', 'epoch'));
    await assert.rejects(nowhere.next(1), { code: 'SWIM_ERR_CONFIG' });
  });
});
