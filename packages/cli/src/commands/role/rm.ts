import { Args } from '@oclif/core';
import { AdminCommand } from '../../base-command.ts';

export default class RoleRm extends AdminCommand {
  static override summary = 'Remove a role; users who have it lose what it allows.';
  static override examples = ['<%= config.bin %> role rm sensors'];
  static override args = {
    name: Args.string({ description: 'Name of the role.', required: true }),
  };

  override async run(): Promise<{ name: string; removed: true }> {
    const { args, flags } = await this.parse(RoleRm);
    await this.withClient(flags.admin, (client) => client.deleteRole(args.name));
    this.log(`Role ${args.name} is removed.`);
    return { name: args.name, removed: true };
  }
}
