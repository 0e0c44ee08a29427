import { Args, Flags } from '@oclif/core';
import { AdminCommand } from '../../base-command.ts';
import {
  conclude,
  formatReport,
  type KeyringReport,
  readKeyId,
  summarize,
} from '../../keyring-report.ts';

export default class KeyringRemove extends AdminCommand {
  static override summary = 'Remove a key from every member; the last step of a rotation.';
  static override description =
    'Refused while a member seals with the key or does not answer. Changes nothing where no member holds it. The cluster refuses a member that returns with removed keys only: start it with the present keyring (see OPERATIONS).';
  static override examples = ['<%= config.bin %> keyring remove 1169a4d2'];
  static override args = {
    id: Args.string({ description: 'Id of the key, of `keyring list`.', required: true }),
  };
  static override flags = {
    force: Flags.boolean({
      default: false,
      description: 'Go on even if a member does not answer.',
    }),
  };

  override async run(): Promise<KeyringReport> {
    const { args, flags } = await this.parse(KeyringRemove);
    const id = await readKeyId(args.id);
    const { before, report } = await this.withClient(flags.admin, async (client) => ({
      before: summarize(await client.keyring()),
      report: summarize(await client.removeKey(id, flags.force)),
    }));
    if (!this.jsonEnabled()) this.log(await formatReport(report));
    if (!before.keys.some((key) => key.id === id)) this.logToStderr(`No member held ${id}.`);
    await conclude(report, this.jsonEnabled());
    return report;
  }
}
