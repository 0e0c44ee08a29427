import { Args, Flags } from '@oclif/core';
import { AdminCommand } from '../../base-command.ts';
import {
  conclude,
  formatReport,
  type KeyringReport,
  readKeyId,
  summarize,
} from '../../keyring-report.ts';

export default class KeyringUse extends AdminCommand {
  static override summary = 'Make every member seal with a key; the second step of a rotation.';
  static override description =
    'Refused while a present member lacks the key. --force overrides, and cuts that member off until it has the key.';
  static override examples = ['<%= config.bin %> keyring use 1169a4d2'];
  static override args = {
    id: Args.string({ description: 'Id of the key, of `keyring list`.', required: true }),
  };
  static override flags = {
    force: Flags.boolean({
      description: 'Go on even if a member lacks the key or does not answer.',
    }),
  };

  override async run(): Promise<KeyringReport> {
    const { args, flags } = await this.parse(KeyringUse);
    const id = await readKeyId(args.id);
    const report = summarize(
      await this.withClient(flags.admin, (client) => client.useKey(id, flags.force)),
    );
    if (!this.jsonEnabled()) this.log(await formatReport(report));
    await conclude(report, this.jsonEnabled());
    return report;
  }
}
