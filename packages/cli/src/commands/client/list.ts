import { Flags } from '@oclif/core';
import type { ClientSummary } from '@shoal/broker';
import type { AdminClient } from '../../admin-client.ts';
import { AdminCommand } from '../../base-command.ts';

const PAGE = 500;

interface ListedClients {
  readonly clients: readonly ClientSummary[];
  readonly truncated: boolean;
  readonly silent: readonly string[];
}

export default class ClientList extends AdminCommand {
  static override summary = 'List the connected clients of the cluster.';
  static override examples = [
    '<%= config.bin %> client list',
    {
      description: 'Client Identifiers of clients that are behind',
      command:
        '<%= config.bin %> client list --limit 100000 --json | jq -r ".clients[] | select(.waitingMessages > 0).clientId"',
    },
  ];
  static override flags = {
    limit: Flags.integer({
      description: 'Longest list.',
      default: 1000,
      min: 1,
      max: 10_000_000,
      helpValue: 'N',
    }),
  };

  override async run(): Promise<ListedClients> {
    const { flags } = await this.parse(ClientList);
    const listed = await this.withClient(flags.admin, (admin) => listClients(admin, flags.limit));
    if (!this.jsonEnabled()) await this.#print(listed);
    return listed;
  }

  async #print({ clients, truncated, silent }: ListedClients): Promise<void> {
    const { formatTable, versionName } = await import('../../format.ts');
    if (clients.length === 0) this.log('No clients.');
    else
      this.log(
        await formatTable(
          [
            ...['CLIENT IDENTIFIER', 'NODE', 'LISTENER', 'ADDRESS', 'MQTT', 'SINCE'],
            ...['RECEIVED', 'SENT', 'IN FLIGHT', 'WAITING', 'FILTERS'],
          ],
          clients.map((client) => [
            client.clientId,
            client.node,
            client.listener,
            client.remote,
            versionName(client.protocolVersion),
            client.connectedSince.replace(/\.\d+Z$/, 'Z'),
            client.packetsReceived,
            client.packetsSent,
            client.inflightMessages,
            client.waitingMessages,
            client.subscriptions,
          ]),
        ),
      );
    if (truncated) this.log(`… and more: --limit shows beyond ${clients.length}.`);
    if (silent.length > 0) this.log(`Without the clients of ${silent.join(', ')}: no answer.`);
  }
}

/** Asks for page after page, at most `limit` clients in all. */
async function listClients(admin: AdminClient, limit: number): Promise<ListedClients> {
  const clients: ClientSummary[] = [];
  const silent = new Set<string>();
  let cursor: string | null = null;
  do {
    const page = await admin.clients(Math.min(PAGE, limit - clients.length), cursor);
    clients.push(...page.clients);
    for (const node of page.silent) silent.add(node);
    cursor = page.nextCursor;
  } while (cursor !== null && clients.length < limit);
  return { clients, truncated: cursor !== null, silent: [...silent].sort() };
}
