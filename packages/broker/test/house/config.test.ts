import assert from 'node:assert/strict';
import { configSections } from '../../src/config-schema.ts';
import { codeOnly, isTest, typeScript } from './files.ts';

describe('house style: the configuration', () => {
  it('has no key that nothing reads', () => {
    const code = typeScript()
      .filter(({ path }) => /^packages\/broker\/src\/(?!config|sim\/)/.test(path) && !isTest(path))
      .map(({ text }) => codeOnly(text))
      .join('\n');
    const unread = configSections()
      // The failure detector takes its section whole.
      .filter(({ name }) => name !== 'swim')
      .flatMap(({ keys }) => keys.map(({ key }) => key))
      // Has one value only; the other is refused with a reason.
      .filter((key) => key !== 'mqtt.upgradeOutgoingQos')
      .filter((key) => !new RegExp(`\\b${key.split('.')[1]}\\b`).test(code));
    assert.deepEqual(unread, []);
  });
});
