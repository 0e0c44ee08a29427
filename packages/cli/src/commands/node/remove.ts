import { Args, Flags } from '@oclif/core';
import type { RemovalPlan, RemovalProgress } from '@shoal/broker';
import type { AdminClient } from '../../admin-client.ts';
import { AdminCommand } from '../../base-command.ts';

export default class NodeRemove extends AdminCommand {
  static override summary = 'Drain a node and take it out of the cluster.';
  static override description =
    `The node hands its shards to others copy by copy, sends its clients there (MQTT 5: by a Server Reference, 500 a second), leaves, and exits. No acknowledged message is lost.

Refused, with the reason, for the last member, and where fewer copies would remain than cluster.replicas asks for (--force overrides). A dead member cannot drain: with --force it counts as left, and the others replace its copies and votes at once, as far as their majorities allow. If it comes back with its data folder, it joins like any other.`;
  static override examples = [
    {
      description: 'What would move, and how long it would take',
      command: '<%= config.bin %> node remove n3 --dry-run',
    },
    {
      description: 'Remove it and wait until it is gone',
      command: '<%= config.bin %> node remove n3 --wait',
    },
    {
      description: 'Its machine is gone for good: replace it now',
      command: '<%= config.bin %> node remove n3 --force --wait',
    },
  ];
  static override args = {
    name: Args.string({ description: 'Name of the node.', required: true }),
  };
  static override flags = {
    'dry-run': Flags.boolean({
      description: 'Only show bytes, time, and whether copies would be missing.',
      exclusive: ['wait', 'force'],
    }),
    wait: Flags.boolean({ description: 'Show the progress until the node is gone.' }),
    force: Flags.boolean({
      description:
        'Go on even if fewer copies remain than wanted, or if the node is dead and its machine gone for good.',
      default: false,
    }),
    timeout: Flags.integer({
      description: 'With --wait, the longest wait; the removal continues after it.',
      default: 3600,
      min: 1,
      max: 604_800,
      helpValue: 'SECONDS',
    }),
  };

  override async run(): Promise<RemovalPlan | RemovalProgress> {
    const { args, flags } = await this.parse(NodeRemove);
    const { name } = args;
    return this.withClient(flags.admin, async (client) => {
      if (flags['dry-run']) {
        const plan = await client.planRemoval(name);
        if (!this.jsonEnabled()) await this.#printPlan(plan);
        return plan;
      }
      if (flags.wait) {
        const progress = await this.#removeAndWait(client, name, flags);
        this.log(`${name} is gone.`);
        return progress;
      }
      const progress = await client.removeNode(name, flags.force);
      this.log(
        progress.state === 'gone'
          ? `${name} is gone.`
          : `${name} is being replaced; \`shoal node remove ${name} --wait\` shows how far.`,
      );
      return progress;
    });
  }

  async #removeAndWait(
    client: AdminClient,
    name: string,
    flags: { readonly force: boolean; readonly timeout: number },
  ): Promise<RemovalProgress> {
    const { removeAndWait } = await import('../../removal.ts');
    const { showProgress } = await import('../../removal-progress.ts');
    const show = showProgress(!this.jsonEnabled());
    try {
      const { force, timeout } = flags;
      const onProgress = show.update;
      return await removeAndWait(client, name, { force, timeoutMs: timeout * 1000, onProgress });
    } finally {
      show.end();
    }
  }

  async #printPlan(plan: RemovalPlan): Promise<void> {
    const { count, formatBytes, formatDuration } = await import('../../format.ts');
    this.log(`Removing ${plan.node} would`);
    this.log(
      `  copy ${formatBytes(plan.bytes)} to other nodes, in about ${formatDuration(plan.durationMs)},`,
    );
    this.log(`  for ${count(plan.shardsHeld, 'shard')} that it holds (${plan.shardsLed} led),`);
    this.log(`  and leave ${plan.replicasAfter} of ${plan.replicas} copies.`);
    this.log(
      plan.refusal === ''
        ? 'It would go ahead.'
        : `It would be refused without --force: ${plan.refusal}.`,
    );
  }
}
