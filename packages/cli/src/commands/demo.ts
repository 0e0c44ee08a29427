import { Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.ts';

/** Exit codes: 0 all held or ended by Ctrl-C at the end, 1 a check failed or an act could not go on. */
export default class Demo extends BaseCommand {
  static override summary = 'Show a persistent session surviving the kill of its node.';

  static override description =
    `Starts three nodes on free ports of this machine with their data in a temporary folder, publishes to a client that is away, kills the node that leads its session, and counts what arrives when the client returns through another node. Then the dead node comes back, a fourth joins and one leaves while messages flow. In the end the cluster stays up for you to try, until Ctrl-C, which removes everything.

Exit code 0 if everything held, 1 if not, 130 or 143 if it was interrupted before.`;

  static override examples = [
    '<%= config.bin %> demo',
    '<%= config.bin %> demo --once --messages 5000',
    '<%= config.bin %> demo --once --json > demo.json',
  ];

  static override flags = {
    once: Flags.boolean({ description: 'end after the count instead of staying up' }),
    messages: Flags.integer({
      description: 'messages of QoS 1, and as many of QoS 2, published to the absent client',
      default: 1_000,
      min: 10,
      max: 100_000,
    }),
    json: Flags.boolean({
      description: 'print the summary as JSON on stdout, the story on stderr',
    }),
    'keep-data': Flags.boolean({ description: 'leave the data folders and logs behind' }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Demo);
    const { runDemo } = await import('../demo/run.ts');
    const code = await runDemo({
      once: flags.once,
      messages: flags.messages,
      json: flags.json,
      keepData: flags['keep-data'],
    });
    this.exit(code);
  }
}
