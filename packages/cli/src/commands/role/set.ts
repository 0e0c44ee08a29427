import { Args, Flags } from '@oclif/core';
import type { Role } from '@shoal/broker';
import { parseRule, RULE_FORM } from '../../access-text.ts';
import { AdminCommand } from '../../base-command.ts';

export default class RoleSet extends AdminCommand {
  static override summary = 'Make a role, or replace its rules.';
  static override description =
    'The first rule that applies decides; what none allows is denied. A role without rules allows nothing. The role `anonymous` is that of clients without a name; while there is none, they may do everything. It holds at once, for connections that are open too.';
  static override examples = [
    "<%= config.bin %> role set sensors --rule 'deny all secret/#' --rule 'allow publish sensors/%u/#'",
    '<%= config.bin %> role set anonymous',
  ];
  static override args = {
    name: Args.string({ description: 'Name of the role.', required: true }),
  };
  static override flags = {
    rule: Flags.string({
      description: `'${RULE_FORM}'; may repeat, in this order.`,
      helpValue: 'RULE',
      multiple: true,
      multipleNonGreedy: true,
    }),
  };

  override async run(): Promise<Role> {
    const { args, flags } = await this.parse(RoleSet);
    const rules = await Promise.all((flags.rule ?? []).map(parseRule));
    const role = await this.withClient(flags.admin, (client) => client.setRole(args.name, rules));
    this.log(`Role ${role.name} has ${role.rules.length} rules.`);
    return role;
  }
}
