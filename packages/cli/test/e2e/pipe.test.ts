import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { SHOAL_BIN } from '../../../../bench/src/chaos/cluster.ts';

describe('a pipe whose reader is gone', function () {
  this.timeout(30_000);

  it('is no failure of a command that has more to say', async () => {
    const child = spawn(SHOAL_BIN, ['config', 'reference'], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);
    assert.equal(said, '');
    assert.equal(code, 0);
  });
});
