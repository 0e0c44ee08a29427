import { Args } from '@oclif/core';
import type { AddedNode } from '@shoal/broker';
import { AdminCommand } from '../../base-command.ts';

export default class NodeAdd extends AdminCommand {
  static override summary = 'Let a waiting node join the cluster.';
  static override description =
    `Has the asked node contact the node at this cluster address. That node must wait to join (\`start --join\` with an address that does not answer yet), or be a member that the cluster has lost sight of. Shards then move to it by themselves; see \`cluster status\`.

A node started with --join and the address of a member needs no \`node add\`.`;
  static override examples = ['<%= config.bin %> node add 127.0.0.1:7703'];
  static override args = {
    address: Args.string({ description: 'Cluster address, HOST:PORT.', required: true }),
  };

  override async run(): Promise<AddedNode> {
    const { args, flags } = await this.parse(NodeAdd);
    const added = await this.withClient(flags.admin, (client) => client.addNode(args.address));
    this.log(`${added.name} (${added.address}) has joined.`);
    return added;
  }
}
