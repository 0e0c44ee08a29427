import { Args } from '@oclif/core';
import type { ShareDetail } from '@shoal/broker';
import { AdminCommand } from '../../base-command.ts';

/** Offline members that are printed. */
const OFFLINE_SHOWN_MAX = 20;

export default class ShareShow extends AdminCommand {
  static override summary = 'Show one Shared Subscription: members, what each has, what waits.';
  static override examples = ["<%= config.bin %> share show '$share/workers/jobs/#'"];
  static override args = {
    filter: Args.string({
      description: 'Its whole Topic Filter, $share/NAME/FILTER (in quotes).',
      required: true,
    }),
  };

  override async run(): Promise<ShareDetail> {
    const { args, flags } = await this.parse(ShareShow);
    const share = await this.withClient(flags.admin, (client) => client.share(args.filter));
    if (!this.jsonEnabled()) await this.#print(share);
    return share;
  }

  async #print(share: ShareDetail): Promise<void> {
    const { count, formatBytes, formatTable, plain } = await import('../../format.ts');
    const { members, offline, offlineMembers, waitingMessages, waitingBytes } = share;
    const rows = [
      ['Share name', plain(share.shareName)],
      ['Topic Filter', plain(share.filter)],
      ['Strategy', share.strategy],
      ['Members', `${share.online} online, ${offline} offline`],
      ['Waiting', `${count(waitingMessages, 'message')}, ${formatBytes(waitingBytes)}`],
    ] as const;
    for (const [name, value] of rows) this.log(`${name.padEnd(18)}${value}`);
    if (members.length > 0) {
      this.log('');
      this.log(
        await formatTable(
          ['MEMBER', 'NODE', 'QOS', 'SESSION', 'GIVEN', 'UNDER WAY', 'WINDOW'],
          members.map((m) => [
            m.clientId,
            m.node,
            m.qos,
            m.persistent ? 'stored' : 'live',
            m.given,
            m.underWay,
            m.busy ? `${m.window} (full)` : m.window,
          ]),
        ),
      );
    }
    if (offline > 0) {
      const shown = offlineMembers.slice(0, OFFLINE_SHOWN_MAX).map(plain).join(', ');
      const more = offline > OFFLINE_SHOWN_MAX ? ` and ${offline - OFFLINE_SHOWN_MAX} more` : '';
      this.log('');
      this.log(`Offline: ${shown}${more}`);
    }
    this.log('');
    for (const reason of share.why) this.log(reason);
  }
}
