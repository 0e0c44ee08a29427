import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { referenceFiles } from '../../scripts/reference.ts';
import { configJsonSchema, configSections } from '../../src/config-schema.ts';
import { BROKER_ERRORS, BrokerError, type ErrorEntry, toBrokerError } from '../../src/errors.ts';
import { typeScript } from '../house/files.ts';

const read = (name: string) =>
  readFileSync(new URL(`../../../../docs/${name}`, import.meta.url), 'utf8');
const entries: [string, ErrorEntry][] = Object.entries(BROKER_ERRORS);

describe('generated documents', () => {
  for (const [name, text] of Object.entries(referenceFiles())) {
    it(`docs/${name} is what its table prints`, () => {
      assert.equal(
        read(name),
        text,
        'run: node --conditions=shoal-source packages/broker/scripts/reference.ts',
      );
    });
  }

  it('ERRORS.md has each code once, and no other', () => {
    const found = [...read('ERRORS.md').matchAll(/^\| `(BROKER_ERR_\w+)`/gm)].map(
      ([, code]) => code,
    );
    assert.deepEqual(
      found,
      entries.map(([code]) => code),
    );
  });

  it('CONFIGURATION.md has each key, flag and variable', () => {
    const text = read('CONFIGURATION.md');
    for (const { key, variable, flag } of configSections().flatMap(({ keys }) => keys)) {
      assert.ok(text.includes(`\`${key}\``), key);
      assert.ok(text.includes(`\`${variable}\``), variable);
      if (flag !== undefined) assert.ok(text.includes(`\`${flag}\``), flag);
    }
  });
});

describe('BROKER_ERRORS', () => {
  it('gives each code an exit code of its own, 10 to 99', () => {
    const exitCodes = entries.map(([, { exitCode }]) => exitCode);
    assert.equal(new Set(exitCodes).size, exitCodes.length);
    assert.ok(exitCodes.every((exitCode) => exitCode >= 10 && exitCode <= 99));
  });

  it('has no code that nothing raises', () => {
    const sources = typeScript().filter(({ path }) => /^packages\/[^/]+\/src\//.test(path));
    const raised = sources
      .filter(({ path }) => !path.endsWith('/errors.ts') && !path.endsWith('.test.ts'))
      .map(({ text }) => text)
      .join('\n');
    const idle = entries.map(([code]) => code).filter((code) => !raised.includes(code));
    assert.deepEqual(idle, []);
  });

  it('names codes alike and says what to do', () => {
    for (const [code, { message, remedy, httpStatus }] of entries) {
      assert.match(code, /^BROKER_ERR_[A-Z]+(_[A-Z]+)*$/);
      assert.doesNotMatch(message, /[.:|]$/, code);
      assert.match(remedy, /\.$/, code);
      assert.ok(httpStatus === undefined || (httpStatus >= 400 && httpStatus <= 599), code);
    }
  });
});

describe('BrokerError', () => {
  it('carries the table’s facts, the detail and the cause', () => {
    const cause = new Error('EADDRINUSE');
    const error = new BrokerError('BROKER_ERR_ADDRESS_IN_USE', 'mqtt.listen 127.0.0.1:1', {
      cause,
    });
    assert.equal(
      error.message,
      'The address is in use by another process: mqtt.listen 127.0.0.1:1',
    );
    assert.equal(error.exitCode, 20);
    assert.equal(error.httpStatus, 500);
    assert.equal(error.cause, cause);
    assert.ok(error instanceof Error);
  });

  it('keeps a known code of a foreign error and calls any other internal', () => {
    const known = Object.assign(new Error('x'), { code: 'BROKER_ERR_DISK_FULL' });
    assert.equal(toBrokerError(known).code, 'BROKER_ERR_DISK_FULL');
    for (const thrown of [new Error('x'), 'text', null, undefined, { code: 'toString' }]) {
      assert.equal(toBrokerError(thrown).code, 'BROKER_ERR_INTERNAL');
    }
    const own = new BrokerError('BROKER_ERR_TIMEOUT');
    assert.equal(toBrokerError(own), own);
  });
});

describe('configuration schema', () => {
  it('is a JSON Schema that refuses unknown keys', () => {
    const schema = configJsonSchema() as {
      additionalProperties: boolean;
      properties: Record<string, { additionalProperties: boolean }>;
    };
    assert.equal(schema.additionalProperties, false);
    for (const [name, section] of Object.entries(schema.properties)) {
      assert.equal(section.additionalProperties, false, name);
    }
  });

  it('says of each key what it means, and gives it a default or demands it', () => {
    for (const key of configSections().flatMap(({ keys }) => keys)) {
      assert.match(key.description, /\.$/, key.key);
      assert.ok(key.required || key.default !== undefined || key.defaultText, key.key);
    }
  });
});
