import assert from 'node:assert/strict';
import { read, typeScript } from '../house/files.ts';
import { mutated } from '../sim/mutations/mutants.ts';
import { drawn } from './drawn.ts';
import { MQTT_3, MQTT_5, REASONS } from './statements.ts';
import { COUNT, SEED, SWITCHED_OFF } from './switched-off.ts';
import { citationsOf, conformanceDocument, unknownOf, untestedOf } from './table.ts';

describe('statements of the standards', () => {
  const citations = typeScript().flatMap(({ path, text }) => citationsOf(path, text));

  it('are there once each, with a kind and words', () => {
    for (const statements of [MQTT_3, MQTT_5]) {
      assert.equal(new Set(statements.map(({ number }) => number)).size, statements.length);
      for (const { number, kind, text } of statements) {
        assert.match(number, /^\d+(\.\d+)+-\d+$/);
        assert.ok(kind === 'server' || kind in REASONS, `${number} ${kind}`);
        assert.ok(text !== '', number);
      }
    }
  });

  it('that are cited exist', () => assert.deepEqual(unknownOf(citations), []));

  it('that bind the server have a test', () => assert.deepEqual(untestedOf(citations), []));

  it('and their tests are in docs/CONFORMANCE.md (npm run conformance:table)', () => {
    assert.equal(read('docs/CONFORMANCE.md'), conformanceDocument(citations));
  });

  it('that a seed draws can be switched off (npm run conformance)', async () => {
    assert.deepEqual(
      SWITCHED_OFF.map(({ number }) => number),
      drawn(SEED, COUNT).map(({ number }) => number),
    );
    for (const off of SWITCHED_OFF) {
      const cited = citations.some(
        (c) => c.isTest && c.version === 5 && c.number === off.number && c.path.endsWith(off.test),
      );
      assert.ok(cited, off.number);
      await mutated({ name: off.number, ...off });
    }
  });

  it('are found in lists, ranges and for both versions', () => {
    const line =
      "  it('[MQTT-1.5.4-1, 2.1.3-1] [MQTT-3.3.1-9 to 11] [MQTT-1.5.3-1 of 3.1.1] x', () => {";
    assert.deepEqual(
      citationsOf('x.test.ts', line).map(({ version, number }) => `${version} ${number}`),
      ['5 1.5.4-1', '5 2.1.3-1', '5 3.3.1-9', '5 3.3.1-10', '5 3.3.1-11', '3 1.5.3-1'],
    );
    const gone = citationsOf('x.ts', `// [MQTT-${'9.9.9-9'}]`);
    assert.deepEqual(unknownOf(gone), ['x.ts: 9.9.9-9 of 5.0']);
    assert.ok(untestedOf(gone).length > 200);
  });
});
