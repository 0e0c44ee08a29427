import type { ShareList as Listed, ShareSummary } from '@shoal/broker';
import { AdminCommand } from '../../base-command.ts';

export default class ShareList extends AdminCommand {
  static override summary = 'List the Shared Subscriptions of the cluster.';
  static override description =
    'Shows how many members are online and offline, how the next one is chosen, and what waits for them.';
  static override examples = ['<%= config.bin %> share list'];

  override async run(): Promise<Listed> {
    const { flags } = await this.parse(ShareList);
    const listed = await this.withClient(flags.admin, (client) => client.shares());
    if (!this.jsonEnabled()) await this.#print(listed);
    return listed;
  }

  async #print({ shares, truncated }: Listed): Promise<void> {
    const { formatTable } = await import('../../format.ts');
    if (shares.length === 0) {
      this.log('No Shared Subscriptions.');
      return;
    }
    const row = (s: ShareSummary) => [
      s.shareName,
      s.filter,
      s.strategy,
      s.online,
      s.offline,
      s.waitingMessages,
    ];
    this.log(
      await formatTable(
        ['SHARE NAME', 'TOPIC FILTER', 'STRATEGY', 'ONLINE', 'OFFLINE', 'WAITING'],
        shares.map(row),
      ),
    );
    if (truncated) this.log(`… and more than these ${shares.length}.`);
  }
}
