import { Args, Flags } from '@oclif/core';
import { makePassword, readPassword } from '../../access-text.ts';
import { AdminCommand } from '../../base-command.ts';

export default class UserPasswd extends AdminCommand {
  static override summary = 'Give a user another password.';
  static override description =
    'Makes one and prints it, unless it comes on standard input. Connections that were opened with the old one end.';
  static override examples = ['<%= config.bin %> user passwd alice'];
  static override args = {
    name: Args.string({ description: 'Name of the user.', required: true }),
  };
  static override flags = {
    'password-stdin': Flags.boolean({
      description: 'Read the password from the first line of standard input.',
    }),
  };

  override async run(): Promise<{ name: string; madePassword?: string }> {
    const { args, flags } = await this.parse(UserPasswd);
    const made = flags['password-stdin'] ? undefined : await makePassword();
    const password = made ?? (await readPassword());
    await this.withClient(flags.admin, (client) => client.changeUser(args.name, { password }));
    this.log(`User ${args.name} has another password.`);
    if (made === undefined) return { name: args.name };
    this.log(`Password (shown only now): ${made}`);
    return { name: args.name, madePassword: made };
  }
}
