import { Flags } from '@oclif/core';
import type { ShardRecovery } from '@shoal/broker';
import { AdminCommand } from '../../base-command.ts';

export default class ShardRecover extends AdminCommand {
  static override summary = 'Recover copies of one node that wait for an operator.';
  static override description =
    `Concerns the copies of the node at --admin only. Changes nothing without --accept-loss.

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
      description: 'Do it: entries that only these copies had, or lack, are lost.',
    }),
  };

  override async run(): Promise<ShardRecovery> {
    const { flags } = await this.parse(ShardRecover);
    const recovery = await this.withClient(flags.admin, (client) =>
      client.recoverShards(flags['accept-loss']),
    );
    const { node, done, shards } = recovery;
    for (const { shard, step, why } of shards) this.log(`shard ${shard}: ${step}: ${why}`);
    if (shards.length === 0) this.log(`No copy of ${node} needs recovery.`);
    else if (!done) this.log('Nothing was changed; run it with --accept-loss.');
    return recovery;
  }
}
