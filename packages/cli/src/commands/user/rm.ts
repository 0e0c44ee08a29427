import { Args } from '@oclif/core';
import { AdminCommand } from '../../base-command.ts';

export default class UserRm extends AdminCommand {
  static override summary = 'Remove a user; its connections end.';
  static override description =
    'Its sessions stay until they expire, and nobody else can take them over.';
  static override examples = ['<%= config.bin %> user rm alice'];
  static override args = {
    name: Args.string({ description: 'Name of the user.', required: true }),
  };

  override async run(): Promise<{ name: string; removed: true }> {
    const { args, flags } = await this.parse(UserRm);
    await this.withClient(flags.admin, (client) => client.deleteUser(args.name));
    this.log(`User ${args.name} is removed.`);
    return { name: args.name, removed: true };
  }
}
