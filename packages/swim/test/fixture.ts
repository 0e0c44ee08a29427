/**
 * Formats that are pinned: the bytes of fixed values, as hex under `# name` in `test/fixtures/v1`.
 *
 * A change of a writer, or of writer and reader together, fails the test of the record's name. A new record,
 * or a format that is changed on purpose (with a new version), is written by
 *
 *     SHOAL_WRITE_FIXTURES=1 npx mocha --node-option conditions=shoal-source FILE
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';

/** One record: what the code writes for a value, and how it reads that again. */
export interface Pinned {
  readonly value: unknown;
  readonly bytes: Uint8Array;
  readonly read: (bytes: Uint8Array) => unknown;
}

/** A record whose reader gives back what its writer was given. */
export function pinned<T>(
  value: T,
  write: (value: T) => Uint8Array,
  read: (bytes: Uint8Array) => unknown,
): Pinned {
  return { value, bytes: Uint8Array.from(write(value)), read };
}

/** Declares one test for each record, and one that none is missing. */
export function itKeeps(file: URL, records: Readonly<Record<string, Pinned>>): void {
  if (process.env['SHOAL_WRITE_FIXTURES'] === '1') writeFixtures(file, records);
  const fixtures = readFixtures(file);

  it('has a fixture for each record, and no other', () => {
    assert.deepEqual([...fixtures.keys()], Object.keys(records));
  });

  for (const [name, { value, bytes, read }] of Object.entries(records)) {
    it(`keeps the bytes of ${name}`, () => {
      const kept = fixtures.get(name) ?? '';
      assert.equal(hex(bytes), kept, `${name} is written otherwise`);
      assert.deepEqual(
        plain(read(Buffer.from(kept, 'hex'))),
        plain(value),
        `${name} reads otherwise`,
      );
    });
  }
}

export function fixtureNames(file: URL): string[] {
  return [...readFixtures(file).keys()];
}

/** Bytes of one fixture. */
export function fixtureOf(file: URL, name: string): Uint8Array {
  return Uint8Array.from(Buffer.from(readFixtures(file).get(name)!, 'hex'));
}

function readFixtures(file: URL): Map<string, string> {
  const fixtures = new Map<string, string>();
  for (const part of readFileSync(file, 'utf8').split(/^# /m).slice(1)) {
    const [name = '', ...lines] = part.split('\n');
    fixtures.set(name, lines.join(''));
  }
  return fixtures;
}

function writeFixtures(file: URL, records: Readonly<Record<string, Pinned>>): void {
  const parts = Object.entries(records).map(
    ([name, { bytes }]) => `# ${name}\n${hex(bytes).replace(/.{96}(?=.)/g, '$&\n')}\n`,
  );
  writeFileSync(file, parts.join(''));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** For comparison: bytes as hex, maps and sets as lists. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return hex(value);
  if (value instanceof Map || value instanceof Set) return [...value].map(plain);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, plain(field)]));
}
