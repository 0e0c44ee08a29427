import { Args, Flags } from '@oclif/core';
import type { UserReport } from '@shoal/broker';
import { makePassword, parseRule, RULE_FORM, readPassword } from '../../access-text.ts';
import { AdminCommand } from '../../base-command.ts';

export default class UserAdd extends AdminCommand {
  static override summary = 'Add a user who may connect with MQTT.';
  static override description =
    'Makes a password and prints it, unless it comes on standard input. Without --role and --rule the user gets the role `all`: everything. What no rule allows is denied; own rules come before those of roles, and the first that applies decides. `%c` in a topic stands for the Client Identifier, `%u` for the name of the user. When the command returns, every node in reach knows the user.';
  static override examples = [
    '<%= config.bin %> user add alice',
    "<%= config.bin %> user add sensor-7 --rule 'allow publish sensors/%u/#' --rule 'allow subscribe commands/%u'",
    'printf %s\\n "$PASSWORD" | <%= config.bin %> user add bob --role operators --password-stdin',
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
    'password-stdin': Flags.boolean({
      description: 'Read the password from the first line of standard input.',
    }),
  };

  override async run(): Promise<UserReport & { madePassword?: string }> {
    const { args, flags } = await this.parse(UserAdd);
    const { role, rule = [] } = flags;
    const rules = await Promise.all(rule.map(parseRule));
    const roles = role ?? (rules.length === 0 ? ['all'] : []);
    const made = flags['password-stdin'] ? undefined : await makePassword();
    const password = made ?? (await readPassword());
    const user = await this.withClient(flags.admin, (client) =>
      client.addUser(args.name, { password, roles, rules }),
    );
    this.log(`User ${user.name} may connect.`);
    if (made === undefined) return user;
    this.log(`Password (shown only now): ${made}`);
    return { ...user, madePassword: made };
  }
}
