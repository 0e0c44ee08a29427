import { Flags } from '@oclif/core';
import type { ShardRecovery } from '@shoal/broker';
import { AdminCommand } from '../../base-command.ts';

export default class ShardRecover extends AdminCommand {
  static override summary =
    'Recover copies of one node that stand still until an operator says so.';
  static override description =
    `Of the node that --admin names, and of no other. Without --accept-loss it changes nothing.

  discard  The copy holds committed entries that the present view of its shard lacks, for the copies that formed it
           had lost them. It gives them up, and is filled from the others. First try to start a node that has
           them as well.
  restore  The copy is short of what it acknowledged, and no other copy of the shard answers. It counts again, with
           what it has. First try to start the others.`;
  static override examples = [
    '<%= config.bin %> shard recover --admin 127.0.0.1:7780',
    '<%= config.bin %> shard recover --admin 127.0.0.1:7780 --accept-loss',
  ];
  static override flags = {
    'accept-loss': Flags.boolean({
      description: 'Do it: what only these copies had, or lack, is lost.',
    }),
  };

  override async run(): Promise<ShardRecovery> {
    const { flags } = await this.parse(ShardRecover);
    const recovery = await this.withClient(flags.admin, (client) =>
      client.recoverShards(flags['accept-loss']),
    );
    const { node, done, shards } = recovery;
    for (const { shard, step, why } of shards) this.log(`shard ${shard}: ${step}: ${why}`);
    if (shards.length === 0) this.log(`No copy of ${node} needs it.`);
    else if (!done) this.log('Nothing was changed; --accept-loss does it.');
    return recovery;
  }
}
