import assert from 'node:assert/strict';
import { connectionsWithin, openFilesMax } from './open-files.ts';

describe('connections and open files', () => {
  const lines: unknown[] = [];
  const within = (asked: number, openFiles: number | undefined) =>
    connectionsWithin(asked, openFiles, (...line) => lines.push(line));
  beforeEach(() => lines.splice(0));

  it('are as asked where the files suffice, or nobody knows of a bound', () => {
    assert.equal(within(16_384, 16_640), 16_384);
    assert.equal(within(1_000_000, undefined), 1_000_000);
    assert.deepEqual(lines, []);
  });

  it('are as many as there are files for, less those of the node, with a warning that names both', () => {
    assert.equal(within(16_384, 1024), 768);
    assert.equal(lines.length, 1);
    const [level, text, fields] = lines[0] as [string, string, object];
    assert.equal(level, 'warn');
    assert.match(text, /ulimit -n.*limits\.connections/);
    assert.deepEqual(fields, { 'limits.connections': 16_384, openFiles: 1024, connections: 768 });
    assert.equal(within(5, 100), 1);
  });

  it('know the bound of this process', () => {
    const files = openFilesMax();
    assert.ok(files === undefined || files > 0, String(files));
    if (process.platform === 'linux') assert.equal(typeof files, 'number');
  });
});
