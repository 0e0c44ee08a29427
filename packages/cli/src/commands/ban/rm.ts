import { banFlags, bannedOne } from '../../ban-flags.ts';
import { AdminCommand } from '../../base-command.ts';

export default class BanRm extends AdminCommand {
  static override summary = 'Lift a ban.';
  static override examples = ['<%= config.bin %> ban rm --client sensor-17'];
  static override flags = { ...banFlags };

  override async run(): Promise<{ kind: string; value: string; lifted: true }> {
    const { flags } = await this.parse(BanRm);
    const { kind, value } = bannedOne(flags);
    await this.withClient(flags.admin, (client) => client.liftBan(kind, value));
    this.log(`The ${kind} ${value} may come again.`);
    return { kind, value, lifted: true };
  }
}
