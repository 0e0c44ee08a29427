import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { generateKey, KEYS_MAX, Keyring, keyId } from './keyring.ts';

const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

describe('Keyring', () => {
  it('names a key by the start of a hash of it', () => {
    // printf 'shoal swim key id v1' and 32 bytes 0x01, through sha256sum
    assert.equal(keyId(key(1)), '1169a4d2');
    assert.notEqual(keyId(generateKey()), keyId(generateKey()));
  });

  it('rotates: install, use, remove', () => {
    const before = Keyring.of([key(1)]);
    const installed = before.install(key(2));
    assert.deepEqual(installed.list(), [
      { id: keyId(key(1)), primary: true },
      { id: keyId(key(2)), primary: false },
    ]);
    const used = installed.use(keyId(key(2)));
    assert.deepEqual(used.secrets(), [key(2), key(1)]);
    const removed = used.remove(keyId(key(1)));
    assert.deepEqual(removed.list(), [{ id: keyId(key(2)), primary: true }]);
    assert.equal(before.size, 1);
    assert.deepEqual(Keyring.of(used.secrets()).list(), used.list());
  });

  it('changes nothing where there is nothing to change', () => {
    const ring = Keyring.of([key(1)]);
    assert.equal(ring.install(key(1)), ring);
    assert.equal(ring.use(keyId(key(1))), ring);
    assert.equal(ring.remove(keyId(key(2))), ring);
    assert.equal(ring.remove('nonsense'), ring);
  });

  it('refuses what would leave it without a key to seal with', () => {
    const ring = Keyring.of([key(1)]);
    assert.throws(() => ring.remove(keyId(key(1))), { code: 'SWIM_ERR_KEY_PRIMARY' });
    assert.throws(() => ring.use(keyId(key(2))), { code: 'SWIM_ERR_KEY_MISSING' });
    assert.throws(() => ring.use('nonsense'), { code: 'SWIM_ERR_KEY_MISSING' });
    assert.throws(() => Keyring.of([]), { code: 'SWIM_ERR_KEY_INVALID' });
  });

  it('takes keys of 32 bytes, at most sixteen', () => {
    for (const bytes of [0, 16, 31, 33]) {
      assert.throws(() => Keyring.of([new Uint8Array(bytes)]), { code: 'SWIM_ERR_KEY_INVALID' });
    }
    let ring = Keyring.of([key(0)]);
    for (let n = 1; n < KEYS_MAX; n++) ring = ring.install(key(n));
    assert.throws(() => ring.install(key(99)), { code: 'SWIM_ERR_KEYRING_FULL' });
  });

  it('keeps its own copy of a key', () => {
    const mine = key(1);
    const ring = Keyring.of([mine]);
    mine.fill(9);
    ring.secrets()[0]?.fill(9);
    assert.deepEqual(ring.secrets(), [key(1)]);
  });

  it('shows ids and no key where it is serialised', () => {
    const secret = generateKey();
    const shown = JSON.stringify({ ring: Keyring.of([secret]) });
    assert.ok(shown.includes(keyId(secret)));
    assert.ok(!shown.includes(Buffer.from(secret).toString('base64')));
    assert.ok(!inspect(Keyring.of([secret]), { depth: 9 }).includes(`${secret[0]}, ${secret[1]}`));
  });
});
