import { Args } from '@oclif/core';
import { AdminCommand } from '../../base-command.ts';

export default class SessionDelete extends AdminCommand {
  static override summary = 'End a session: its connection, subscriptions and queue.';
  static override description =
    'When the command returns, every copy has dropped its queue. It does not ask for confirmation.';
  static override examples = ['<%= config.bin %> session delete sensor-17'];
  static override args = {
    id: Args.string({ description: 'Client Identifier.', required: true }),
  };

  override async run(): Promise<{ clientId: string; deleted: true }> {
    const { args, flags } = await this.parse(SessionDelete);
    await this.withClient(flags.admin, (client) => client.deleteSession(args.id));
    this.log('The session has ended.');
    return { clientId: args.id, deleted: true };
  }
}
