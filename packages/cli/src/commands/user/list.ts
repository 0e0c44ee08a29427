import type { UserReport } from '@shoal/broker';
import { formatRule } from '../../access-text.ts';
import { AdminCommand } from '../../base-command.ts';

export default class UserList extends AdminCommand {
  static override summary = 'List the users of the cluster.';
  static override examples = ['<%= config.bin %> user list'];

  override async run(): Promise<{ users: UserReport[] }> {
    const { flags } = await this.parse(UserList);
    const listed = await this.withClient(flags.admin, (client) => client.users());
    if (!this.jsonEnabled()) await this.#print(listed.users);
    return listed;
  }

  async #print(users: readonly UserReport[]): Promise<void> {
    if (users.length === 0) return this.log('No users. Add one with `shoal user add NAME`.');
    const { formatTable, plain } = await import('../../format.ts');
    const row = ({ name, enabled, roles, rules }: UserReport) => [
      plain(name),
      enabled ? 'yes' : 'no',
      roles.map(plain).join(', '),
      rules.map(formatRule).map(plain).join('; '),
    ];
    this.log(await formatTable(['USER', 'ENABLED', 'ROLES', 'RULES'], users.map(row)));
  }
}
