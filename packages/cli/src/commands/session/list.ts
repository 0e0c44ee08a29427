import { Flags } from '@oclif/core';
import type { SessionSummary } from '@shoal/broker';
import type { AdminClient } from '../../admin-client.ts';
import { AdminCommand } from '../../base-command.ts';

const PAGE = 500;

interface ListedSessions {
  readonly sessions: readonly SessionSummary[];
  readonly truncated: boolean;
}

export default class SessionList extends AdminCommand {
  static override summary = 'List the persistent sessions of the cluster.';
  static override examples = [
    '<%= config.bin %> session list',
    {
      description: 'Client Identifiers of sessions with a backlog',
      command:
        '<%= config.bin %> session list --limit 100000 --json | jq -r ".sessions[] | select(.queuedMessages > 0).clientId"',
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

  override async run(): Promise<ListedSessions> {
    const { flags } = await this.parse(SessionList);
    const { limit } = flags;
    const listed = await this.withClient(flags.admin, (client) => listSessions(client, limit));
    if (!this.jsonEnabled()) await this.#print(listed.sessions, listed.truncated);
    return listed;
  }

  async #print(sessions: readonly SessionSummary[], truncated: boolean): Promise<void> {
    const { formatTable } = await import('../../format.ts');
    if (sessions.length === 0) {
      this.log('No sessions.');
      return;
    }
    this.log(
      await formatTable(
        ['CLIENT IDENTIFIER', 'CONNECTED TO', 'LEADER', 'SHARD', 'QUEUED', 'INFLIGHT', 'FILTERS'],
        sessions.map((session) => [
          session.clientId,
          session.gateway ?? '-',
          session.leader,
          session.shard,
          session.queuedMessages,
          session.inflightMessages,
          session.subscriptions,
        ]),
      ),
    );
    if (truncated) this.log(`… and more: --limit shows beyond ${sessions.length}.`);
  }
}

/** Asks for page after page, at most `limit` sessions in all. */
async function listSessions(client: AdminClient, limit: number): Promise<ListedSessions> {
  const sessions: SessionSummary[] = [];
  let cursor: string | null = null;
  do {
    const page = await client.sessions(Math.min(PAGE, limit - sessions.length), cursor);
    sessions.push(...page.sessions);
    cursor = page.nextCursor;
  } while (cursor !== null && sessions.length < limit);
  return { sessions, truncated: cursor !== null };
}
