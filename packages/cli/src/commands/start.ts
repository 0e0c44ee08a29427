import { Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.ts';
import { configFlags, readConfigWithOrigins } from '../config-flags.ts';

export default class Start extends BaseCommand {
  static override enableJsonFlag = false;
  static override summary = 'Run a node in the foreground.';
  static override description = `Prints one line to stdout once it serves clients:

  ready {"node":…,"pid":…,"mqtt":…,"listeners":[…],"cluster":…,"admin":…}

The node logs JSON lines to stderr. SIGTERM or SIGINT hands its shards over, drains and exits with 0. A second signal exits at once (143, 130) and loses no acknowledged message.

An empty data folder without --join and --discover founds a new cluster; with --join the node waits until one of those addresses answers, with --discover until it finds a member. A node whose folder belongs to a cluster resumes there. Give any key of the configuration in a file (--config), in the environment (SHOAL_…) or by --set; flags override the environment, and the environment overrides the file.

Until Shoal has authentication, MQTT and the admin API listen on loopback only.`;
  static override examples = [
    {
      description: 'Found a cluster of one node',
      command: '<%= config.bin %> start --node-name n1 --data-dir ./n1',
    },
    {
      description: 'Join it with a second node on the same machine',
      command:
        '<%= config.bin %> start --node-name n2 --data-dir ./n2 --mqtt-listen 127.0.0.1:1884 --cluster-listen 127.0.0.1:7701 --admin-listen 127.0.0.1:7781 --join 127.0.0.1:7700',
    },
    {
      description: 'Find the members of a cluster by DNS, or by multicast',
      command:
        '<%= config.bin %> start --config shoal.yaml --discover dns:shoal.example:7700 --discover multicast:239.192.0.1:7701',
    },
    {
      description: 'Take the configuration from a file, but another queue bound',
      command:
        '<%= config.bin %> start --config shoal.yaml --set limits.sessionQueueMessages=500000',
    },
  ];
  static override flags = {
    ...configFlags,
    'accept-loss': Flags.boolean({
      description: 'Start although this node has the only copy of a shard and lost part of it.',
    }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Start);
    const { 'accept-loss': acceptLoss = false, ...settings } = flags;
    const resolved = await readConfigWithOrigins(settings);
    const [{ givenSettings, startNode }, { runNode }] = await Promise.all([
      import('@shoal/broker'),
      import('../run-node.ts'),
    ]);
    const given = givenSettings(resolved);
    process.exit(await runNode(resolved.config, startNode, given, { acceptLoss }));
  }
}
