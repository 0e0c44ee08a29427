import type { Ban } from '@shoal/broker';
import { AdminCommand } from '../../base-command.ts';

export default class BanList extends AdminCommand {
  static override summary = 'List the bans of the cluster.';
  static override examples = ['<%= config.bin %> ban list'];

  override async run(): Promise<{ bans: Ban[] }> {
    const { flags } = await this.parse(BanList);
    const listed = await this.withClient(flags.admin, (client) => client.bans());
    if (!this.jsonEnabled()) await this.#print(listed.bans);
    return listed;
  }

  async #print(bans: readonly Ban[]): Promise<void> {
    if (bans.length === 0) return this.log('No bans.');
    const { formatTable, plain } = await import('../../format.ts');
    const until = (ms: number) =>
      ms === 0 ? 'lifted' : `${new Date(ms).toISOString()}${ms < Date.now() ? ' (over)' : ''}`;
    const row = ({ kind, value, untilMs, reason }: Ban) => [
      kind,
      plain(value),
      until(untilMs),
      plain(reason),
    ];
    this.log(await formatTable(['KIND', 'VALUE', 'UNTIL', 'REASON'], bans.map(row)));
  }
}
