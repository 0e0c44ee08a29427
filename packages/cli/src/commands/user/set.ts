import { Args, Flags } from '@oclif/core';
import type { UserReport } from '@shoal/broker';
import { parseRule, RULE_FORM } from '../../access-text.ts';
import { AdminCommand } from '../../base-command.ts';

export default class UserSet extends AdminCommand {
  static override summary = 'Change what a user may do, or whether it may connect at all.';
  static override description =
    'What is given replaces what was there; the rest stays. It holds at once, for connections that are open too.';
  static override examples = [
    '<%= config.bin %> user set alice --role operators',
    '<%= config.bin %> user set alice --disable',
  ];
  static override args = {
    name: Args.string({ description: 'Name of the user.', required: true }),
  };
  static override flags = {
    role: Flags.string({
      description: 'A role of the user; may repeat.',
      helpValue: 'ROLE',
      multiple: true,
      multipleNonGreedy: true,
    }),
    rule: Flags.string({
      description: `A rule of the user's own, '${RULE_FORM}'; may repeat.`,
      helpValue: 'RULE',
      multiple: true,
      multipleNonGreedy: true,
    }),
    disable: Flags.boolean({ description: 'End its connections, and let it in no more.' }),
    enable: Flags.boolean({ description: 'Let it in again.', exclusive: ['disable'] }),
  };

  override async run(): Promise<UserReport> {
    const { args, flags } = await this.parse(UserSet);
    const { role: roles, rule, disable, enable } = flags;
    const change = {
      ...(roles === undefined ? {} : { roles }),
      ...(rule === undefined ? {} : { rules: await Promise.all(rule.map(parseRule)) }),
      ...(disable || enable ? { enabled: enable } : {}),
    };
    const user = await this.withClient(flags.admin, (client) =>
      client.changeUser(args.name, change),
    );
    this.log(`User ${user.name} is changed.`);
    return user;
  }
}
