import { Flags } from '@oclif/core';
import { BaseCommand } from '../../base-command.ts';

export default class KeyringGenerate extends BaseCommand {
  static override summary = 'Make a new key, or a keyring with one.';
  static override description =
    `Without --out, prints a new key (32 random bytes in base64) for \`keyring install\`. With --out, writes a keyring with a new key to a file that only its owner may read, for \`shoal start --keyring\`, and prints the key's id; a file that is there is never replaced.

Give the same file to every node over a private channel.`;
  static override examples = [
    {
      description: 'A keyring for a new cluster',
      command: '<%= config.bin %> keyring generate --out keyring.json',
    },
    {
      description: 'A new key for a running cluster',
      command: '<%= config.bin %> keyring generate | <%= config.bin %> keyring install',
    },
  ];
  static override flags = {
    out: Flags.string({ description: 'Keyring file to write.', helpValue: 'FILE' }),
  };

  override async run(): Promise<{ id: string; file?: string; key?: string }> {
    const { flags } = await this.parse(KeyringGenerate);
    const { generateKeyText, keyIdOf, parseKey, writeKeyring } = await import('@shoal/broker');
    const text = generateKeyText();
    const key = parseKey(text);
    const id = keyIdOf(key);
    if (flags.out === undefined) {
      this.log(text);
      return { id, key: text };
    }
    await writeKeyring(flags.out, [key], { fresh: true });
    this.log(id);
    return { id, file: flags.out };
  }
}
