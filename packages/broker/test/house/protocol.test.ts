import assert from 'node:assert/strict';
import { Wire } from '../../src/node/link/wire.ts';
import { OPERATION_TYPES } from '../../src/session/operation.ts';
import { SHARD_MESSAGE_TYPES } from '../../src/shard/message.ts';
import { read } from './files.ts';

/** Names in the table below `heading` in docs/PROTOCOL.md, whose numbers count up from `first`. */
function documented(heading: string, first = 0): string[] {
  const [, section = ''] = read('docs/PROTOCOL.md').split(new RegExp(`^## ${heading}$`, 'm'));
  const [body = ''] = section.split(/^## /m);
  const rows = [...body.matchAll(/^\| (\d+) \| ([\w-]+) \|/gm)];
  return rows.map(([, number, name = ''], index) => {
    assert.equal(Number(number), first + index, `${heading}: row ${name}`);
    return name;
  });
}

/** The wire's order of types: the array `name` in a source file. */
function inSource(path: string, name: string): string[] {
  const [, list] = new RegExp(`const ${name} = \\[([^\\]]*)\\]`).exec(read(path)) ?? [];
  assert.ok(list !== undefined, `${path} has no ${name}`);
  return [...list.matchAll(/'([^']+)'/g)].map(([, type = '']) => type);
}

describe('house style: PROTOCOL.md', () => {
  it("numbers SWIM's messages as the codec does", () => {
    assert.deepEqual(documented('SWIM'), inSource('packages/swim/src/core/codec.ts', 'TYPES'));
  });

  it('numbers the messages between copies as the codec does', () => {
    assert.deepEqual(documented('Between the copies of a shard'), SHARD_MESSAGE_TYPES);
  });

  it('numbers the kinds of message in a frame as the node does', () => {
    const kinds = Object.entries(Wire).sort(([, a], [, b]) => a - b);
    assert.deepEqual(
      documented('Frames between nodes', 1),
      kinds.map(([name]) => name),
    );
  });

  it('numbers operations as the codec does', () => {
    assert.deepEqual(documented('Operations'), OPERATION_TYPES);
  });
});
