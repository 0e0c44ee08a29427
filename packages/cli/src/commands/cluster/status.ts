import type { ClusterStatus, MemberStatus } from '@shoal/broker';
import { AdminCommand } from '../../base-command.ts';

export default class ClusterStatusCommand extends AdminCommand {
  static override summary = 'Show what is paused, members, shards and what is at risk.';
  static override description =
    `Says first what waits, at which nodes, why, and what to do about it; nothing of that while all is well. Then shows members with their state as the asked node sees them, the shards that each leads and holds, shards with fewer copies than wanted, and persistent sessions with a single copy left.

States: alive, suspect (a probe failed; the member may object), faulty (found dead), stopped (told to stop), left (removed). Beside the state: out of view (found dead and back several times; it gets copies once it has been quiet for a minute or longer), unwell (its main loop or disk hangs), leaving (it drains).`;
  static override examples = [
    '<%= config.bin %> cluster status',
    {
      description: 'Wait in a script until every shard has all its copies',
      command:
        'until <%= config.bin %> cluster status --json | jq -e ".underReplicated.count == 0"; do sleep 1; done',
    },
  ];

  override async run(): Promise<ClusterStatus> {
    const { flags } = await this.parse(ClusterStatusCommand);
    const status = await this.withClient(flags.admin, (client) => client.cluster());
    if (!this.jsonEnabled()) await this.#print(status);
    return status;
  }

  async #print(status: ClusterStatus): Promise<void> {
    const { count, formatTable } = await import('../../format.ts');
    const { pausedReport } = await import('../../paused-report.ts');
    const waits = pausedReport(status);
    if (waits.length > 0) this.log(`${waits.join('\n')}\n`);
    const { replicas, shards, durability, consistency } = status;
    this.log(
      `Cluster ${status.clusterId}: ${count(shards, 'shard')}, ${replicas} copies of each, durability ${durability}, ${consistency}.\n`,
    );
    this.log(
      await formatTable(
        ['NODE', 'STATE', 'LEADS', 'HOLDS', 'ZONE', 'HOST', 'MQTT', 'CLUSTER', 'ADMIN'],
        status.members.map((member) => [
          member.name === status.node ? `${member.name} (asked)` : member.name,
          stateOf(member),
          member.shardsLed,
          member.shardsHeld,
          member.zone,
          member.host,
          member.mqtt,
          member.address,
          member.admin,
        ]),
      ),
    );
    for (const { node, key, configured, cluster } of status.drift)
      this.log(`\n${node} is configured with ${key} ${configured}; the cluster has ${cluster}.`);
    const { total, connected, atRisk } = status.sessions;
    this.log(`\n${count(total, 'session')}, ${connected} connected, ${atRisk} at risk.`);
    const { count: missing, shards: examples } = status.underReplicated;
    if (missing === 0) {
      const hosts = new Set(
        status.members.filter((m) => m.state === 'alive' && !m.leaving).map((m) => m.host),
      ).size;
      this.log(
        hosts < replicas
          ? `Every shard has a copy on each host, but ${replicas} copies want ${replicas} hosts and there ${hosts === 1 ? 'is' : 'are'} ${hosts}: add nodes.`
          : 'Every shard has all its copies.',
      );
      return;
    }
    const shown = examples.slice(0, 5).map(({ shard, leader, active, wanted }) => {
      // All copies are there, and the voters do not match them yet.
      const votes = active.length < wanted ? '' : ', voters to change';
      const where = leader === null ? 'no leader' : `led by ${leader}`;
      return `${shard} (${active.length} of ${wanted}${votes}, ${where})`;
    });
    const more = missing > shown.length ? ', …' : '';
    this.log(`Under-replicated: ${count(missing, 'shard')}: ${shown.join(', ')}${more}`);
  }
}

/** `alive, out of view, unwell, leaving`: what membership sees, then what the member says of itself. */
function stateOf({ state, inStableView, unwell, leaving }: MemberStatus): string {
  const isPresent = state === 'alive' || state === 'suspect';
  return [
    state,
    ...(isPresent && inStableView === false ? ['out of view'] : []),
    ...(unwell && isPresent ? ['unwell'] : []),
    ...(leaving && state !== 'left' ? ['leaving'] : []),
  ].join(', ');
}
