import { AdminCommand } from '../../base-command.ts';
import { formatReport, type KeyringReport, summarize } from '../../keyring-report.ts';

export default class KeyringList extends AdminCommand {
  static override summary = 'List the keys of the cluster, by id.';
  static override description =
    'Shows for each key how many present members seal with it and how many hold it. Never shows the keys themselves.';
  static override examples = ['<%= config.bin %> keyring list'];

  override async run(): Promise<KeyringReport> {
    const { flags } = await this.parse(KeyringList);
    const report = summarize(await this.withClient(flags.admin, (client) => client.keyring()));
    if (!this.jsonEnabled()) this.log(await formatReport(report));
    return report;
  }
}
