import { Flags } from '@oclif/core';
import type { ReadyReport } from '@shoal/broker';
import { BaseCommand } from '../base-command.ts';
import { configFlags, readConfigWithOrigins } from '../config-flags.ts';

export default class Start extends BaseCommand {
  static override enableJsonFlag = false;
  static override summary = 'Run a node in the foreground.';
  static override description = `Prints one line to stdout once it serves clients:

  ready {"node":…,"pid":…,"mqtt":…,"listeners":[…],"cluster":…,"admin":…}

The node logs JSON lines to stderr. SIGTERM or SIGINT hands its shards over, drains and exits with 0. A second signal exits at once (143, 130) and loses no acknowledged message.

An empty data folder without --join and --discover founds a new cluster; with --join the node waits until one of those addresses answers, with --discover until it finds a member. A node whose folder belongs to a cluster resumes there. Give any key of the configuration in a file (--config), in the environment (SHOAL_…) or by --set; flags override the environment, and the environment overrides the file.

MQTT listens off loopback only where clients have to be users (--auth-required; shoal user add), or with --insecure. --lan is for a first try with other machines: it listens on all interfaces at port 1883, and makes a user with a password that it prints. The admin API listens on loopback only.`;
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
      description: 'Let other machines of the network in, with a password that it prints',
      command: '<%= config.bin %> start --node-name n1 --data-dir ./n1 --lan',
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
    lan: Flags.boolean({
      description:
        'Listen for MQTT on all interfaces (0.0.0.0:1883, or --mqtt-listen), ask clients who they are, and make a user if the cluster has none.',
      exclusive: ['insecure'],
    }),
    'accept-loss': Flags.boolean({
      description: 'Start although this node has the only copy of a shard and lost part of it.',
    }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Start);
    const { 'accept-loss': acceptLoss = false, lan, ...settings } = flags;
    const { lanFlags, openLan } = await import('../lan.ts');
    const resolved = await readConfigWithOrigins(lan ? lanFlags(settings) : settings);
    const [{ givenSettings, startNode }, { runNode }] = await Promise.all([
      import('@shoal/broker'),
      import('../run-node.ts'),
    ]);
    const onReady = async (ready: ReadyReport) => {
      for (const line of await openLan(ready)) this.log(line);
    };
    const given = givenSettings(resolved);
    process.exit(
      await runNode(resolved.config, startNode, given, { acceptLoss }, lan ? onReady : undefined),
    );
  }
}
