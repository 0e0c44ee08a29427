import { Args, Flags } from '@oclif/core';
import type { AccessAnswer } from '@shoal/broker';
import { formatRule } from '../../access-text.ts';
import { AdminCommand } from '../../base-command.ts';

export default class AclTest extends AdminCommand {
  static override summary =
    'Ask whether a client may publish or subscribe, and which rule decides.';
  static override examples = [
    '<%= config.bin %> acl test publish sensors/7/t --user sensor-7 --client sensor-7',
    "<%= config.bin %> acl test subscribe 'commands/#' --user alice",
  ];
  static override args = {
    action: Args.string({
      description: 'What it wants to do.',
      options: ['publish', 'subscribe'],
      required: true,
    }),
    topic: Args.string({ description: 'Topic Name, or Topic Filter.', required: true }),
  };
  static override flags = {
    user: Flags.string({ description: 'Its user; none for a client without a name.', default: '' }),
    client: Flags.string({ description: 'Its Client Identifier.', default: '' }),
    qos: Flags.integer({ description: 'QoS.', default: 0, min: 0, max: 2 }),
    retain: Flags.boolean({ description: 'With RETAIN.' }),
  };

  override async run(): Promise<AccessAnswer> {
    const { args, flags } = await this.parse(AclTest);
    const { user, client: clientId, qos, retain } = flags;
    const action = args.action as 'publish' | 'subscribe';
    const question = { user, clientId, action, topic: args.topic, qos, retain };
    const answer = await this.withClient(flags.admin, (client) => client.testAccess(question));
    const { allowed, rule } = answer;
    const why = rule === null ? 'no rule applies' : `by the rule '${formatRule(rule)}'`;
    this.log(`${allowed ? 'Yes' : 'No'}: ${why}.`);
    return answer;
  }
}
