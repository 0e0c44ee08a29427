import { Args } from '@oclif/core';
import { AdminCommand } from '../../base-command.ts';

export default class SessionKick extends AdminCommand {
  static override summary = 'Close the connection of a session; the session stays.';
  static override description =
    'An MQTT 5 client gets 0x98 (Administrative action). It may connect again at once.';
  static override examples = ['<%= config.bin %> session kick sensor-17'];
  static override args = {
    id: Args.string({ description: 'Client Identifier.', required: true }),
  };

  override async run(): Promise<{ clientId: string; kicked: true }> {
    const { args, flags } = await this.parse(SessionKick);
    await this.withClient(flags.admin, (client) => client.kick(args.id));
    this.log('Its connection is closed.');
    return { clientId: args.id, kicked: true };
  }
}
