import { Flags } from '@oclif/core';
import { AdminCommand } from '../../base-command.ts';
import { conclude, formatReport, type KeyringReport, summarize } from '../../keyring-report.ts';

export default class KeyringInstall extends AdminCommand {
  static override summary = 'Add a key to every member; the first step of a rotation.';
  static override description =
    'Reads the key (32 bytes in base64) from standard input, or from the keyring file that --file names: its primary key. Takes no key as an argument, because every process of the machine could see it there. Members can then read messages sealed with the key; `keyring use` makes them seal with it.';
  static override examples = [
    '<%= config.bin %> keyring generate | <%= config.bin %> keyring install',
    '<%= config.bin %> keyring install --file new-keyring.json',
  ];
  static override flags = {
    file: Flags.string({
      description: 'Keyring file to take the key from, instead of standard input.',
      helpValue: 'FILE',
    }),
  };

  override async run(): Promise<KeyringReport> {
    const { flags } = await this.parse(KeyringInstall);
    const key = flags.file === undefined ? await fromStdin() : await fromFile(flags.file);
    const report = summarize(
      await this.withClient(flags.admin, (client) => client.installKey(key)),
    );
    if (!this.jsonEnabled()) this.log(await formatReport(report));
    await conclude(report, this.jsonEnabled());
    return report;
  }
}

async function fromStdin(): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write('The key, then Enter and Ctrl-D:\n');
  let text = '';
  process.stdin.setEncoding('utf8');
  for await (const chunk of process.stdin) {
    text += String(chunk);
    if (text.length > INPUT_CHARACTERS_MAX) break;
  }
  const { parseKey } = await import('@shoal/broker');
  parseKey(text);
  return text.trim();
}

async function fromFile(file: string): Promise<string> {
  const { readKeyring } = await import('@shoal/broker');
  const [primary] = await readKeyring(file);
  return Buffer.from(primary as Uint8Array).toString('base64');
}

const INPUT_CHARACTERS_MAX = 1_000;
