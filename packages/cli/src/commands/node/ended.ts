import { Args, Flags } from '@oclif/core';
import { AdminCommand } from '../../base-command.ts';

export default class NodeEnded extends AdminCommand {
  static override summary = 'Tell the cluster that the process of a node has ended.';
  static override description =
    `For who saw it end, as its supervisor does. The asked node, another one on this machine, calls it faulty at once and tells the others; they need not find out. A node that lives after all says so, and stays.

Say it before the node is started again, or with --boot-epoch (\`cluster status --json\` has it): then nothing is said of its next life. A node that is killed is found after about a second without this; one whose host no longer answers, after six.`;
  static override examples = [
    {
      description: 'n3 has ended; another node here has its admin API on port 7780',
      command: '<%= config.bin %> node ended n3 --admin 127.0.0.1:7780',
    },
  ];
  static override args = {
    name: Args.string({ description: 'Name of the node.', required: true }),
  };
  static override flags = {
    'boot-epoch': Flags.integer({
      description: 'Boot epoch of the process that ended.',
      min: 1,
      max: Number.MAX_SAFE_INTEGER,
    }),
  };

  override async run(): Promise<{ readonly node: string }> {
    const { args, flags } = await this.parse(NodeEnded);
    await this.withClient(flags.admin, (client) =>
      client.reportEnd(args.name, flags['boot-epoch']),
    );
    this.log(`The others are told that ${args.name} has ended.`);
    return { node: args.name };
  }
}
