import { Args } from '@oclif/core';
import { AdminCommand } from '../../base-command.ts';

export default class ClientKick extends AdminCommand {
  static override summary = 'Close the connection of a client; its session stays.';
  static override description =
    'An MQTT 5 client gets 0x98 (Administrative action). It may connect again at once.';
  static override examples = ['<%= config.bin %> client kick sensor-17'];
  static override args = {
    id: Args.string({ description: 'Client Identifier.', required: true }),
  };

  override async run(): Promise<{ clientId: string; kicked: true }> {
    const { args, flags } = await this.parse(ClientKick);
    await this.withClient(flags.admin, (admin) => admin.kickClient(args.id));
    this.log('Its connection is closed.');
    return { clientId: args.id, kicked: true };
  }
}
