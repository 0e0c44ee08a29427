import { Args, Flags } from '@oclif/core';
import { AdminCommand } from '../../base-command.ts';

export default class NodeEnded extends AdminCommand {
  static override summary = 'Tell the cluster that the process of a node has ended.';
  static override description =
    `Use it where a supervisor saw the process end. Ask another node on the same machine: it calls the ended node faulty at once and tells the others, which then need not find out. A node that is alive refutes the report and stays.

Run it before you start the node again, or give --boot-epoch (\`cluster status --json\` shows it), so that the report does not concern its next run. Without it, the cluster finds a killed node after about a second, and one whose host no longer answers after six.`;
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
    this.log(`Told the others that ${args.name} has ended.`);
    return { node: args.name };
  }
}
