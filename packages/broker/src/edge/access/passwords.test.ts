import assert from 'node:assert/strict';
import { hashPassword, Passwords } from './passwords.ts';

const bytes = (text: string) => Buffer.from(text);
const verify = (passwords: Passwords, hash: string, password: string) =>
  new Promise<boolean>((resolve) => passwords.verify(hash, bytes(password), resolve));

describe('Passwords', () => {
  it('fit the hash that was made of them, and no other; a hash that cannot be read fits none', async () => {
    const passwords = new Passwords();
    const hash = await hashPassword('right');
    assert.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    assert.deepEqual(
      await Promise.all(['right', 'wrong', ''].map((text) => verify(passwords, hash, text))),
      [true, false, false],
    );
    assert.equal(await verify(passwords, '$argon2id$nonsense', 'right'), false);
  });

  it('are known by what another node has found under the same key, and by nothing else', async () => {
    const [one, other] = [new Passwords(), new Passwords()];
    const hash = await hashPassword('right');
    await verify(one, hash, 'right');
    await verify(one, hash, 'wrong');
    const prints = one.takePrints();
    assert.equal(prints.length, 32);
    assert.equal(one.takePrints().length, 0);
    other.useKey(one.key);
    other.learn(prints);
    // The hash is not looked at any more: only one whose print is known fits.
    assert.equal(await verify(other, hash, 'right'), true);
    assert.equal(other.takePrints().length, 0);
    other.useKey(new Uint8Array(32));
    await verify(other, hash, 'right');
    assert.equal(other.takePrints().length, 32);
  });
});
