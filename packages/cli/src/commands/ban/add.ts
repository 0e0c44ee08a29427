import { Flags } from '@oclif/core';
import type { Ban } from '@shoal/broker';
import { parseDuration } from '../../access-text.ts';
import { banFlags, bannedOne } from '../../ban-flags.ts';
import { AdminCommand } from '../../base-command.ts';

export default class BanAdd extends AdminCommand {
  static override summary = 'Keep a client, a user or an address out; its connections end.';
  static override examples = [
    '<%= config.bin %> ban add --client sensor-17 --for 12h --reason "floods"',
    '<%= config.bin %> ban add --address 192.0.2.7',
  ];
  static override flags = {
    ...banFlags,
    for: Flags.string({
      description: 'How long: a number with s, m, h or d. Without it, until it is lifted.',
      helpValue: 'TIME',
    }),
    reason: Flags.string({ description: 'Why, for `shoal ban list`.', default: '' }),
  };

  override async run(): Promise<Ban> {
    const { flags } = await this.parse(BanAdd);
    const untilMs = flags.for === undefined ? 0 : Date.now() + (await parseDuration(flags.for));
    const ban = { ...bannedOne(flags), untilMs, reason: flags.reason };
    const set = await this.withClient(flags.admin, (client) => client.ban(ban));
    this.log(`The ${set.kind} ${set.value} is banned.`);
    return set;
  }
}
