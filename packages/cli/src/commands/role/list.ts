import type { Role } from '@shoal/broker';
import { formatRule } from '../../access-text.ts';
import { AdminCommand } from '../../base-command.ts';

export default class RoleList extends AdminCommand {
  static override summary = 'List the roles of the cluster, with their rules.';
  static override examples = ['<%= config.bin %> role list'];

  override async run(): Promise<{ roles: Role[] }> {
    const { flags } = await this.parse(RoleList);
    const listed = await this.withClient(flags.admin, (client) => client.roles());
    if (!this.jsonEnabled()) await this.#print(listed.roles);
    return listed;
  }

  async #print(roles: readonly Role[]): Promise<void> {
    const { formatTable, plain } = await import('../../format.ts');
    const rows = roles.flatMap(({ name, rules }) =>
      rules.length === 0
        ? [[plain(name), 'nothing']]
        : rules.map((rule, i) => [i === 0 ? plain(name) : '', plain(formatRule(rule))]),
    );
    this.log(await formatTable(['ROLE', 'RULE'], rows));
  }
}
