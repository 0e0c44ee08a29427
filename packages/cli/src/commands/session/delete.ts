import { Args } from '@oclif/core';
import { AdminCommand } from '../../base-command.ts';

export default class SessionDelete extends AdminCommand {
  static override summary = 'End a session: its connection, subscriptions and queue.';
  static override description =
    'What is queued for it is gone, on every copy, when the command returns. It asks no question.';
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
