import { Args } from '@oclif/core';
import type { SessionDetail } from '@shoal/broker';
import { AdminCommand } from '../../base-command.ts';

/** Session Expiry Interval of a session that never expires [MQTT-3.1.2.11.2]. */
const NEVER_SECONDS = 4_294_967_295;

export default class SessionShow extends AdminCommand {
  static override summary = 'Show one session: connection, queue, subscriptions, expiry.';
  static override examples = [
    '<%= config.bin %> session show sensor-17',
    {
      description: 'A Client Identifier that begins with a dash',
      command: '<%= config.bin %> session show -- -odd-',
    },
  ];
  static override args = {
    id: Args.string({ description: 'Client Identifier.', required: true }),
  };

  override async run(): Promise<SessionDetail> {
    const { args, flags } = await this.parse(SessionShow);
    const session = await this.withClient(flags.admin, (client) => client.session(args.id));
    if (!this.jsonEnabled()) await this.#print(session);
    return session;
  }

  async #print(session: SessionDetail): Promise<void> {
    const { count, formatTable, plain, versionName } = await import('../../format.ts');
    const { connection, queue, inflight } = session;
    const version = versionName(connection?.protocolVersion ?? 0);
    const from = connection?.remote ? ` from ${connection.remote}` : '';
    const rows = [
      ['Client Identifier', plain(session.clientId)],
      ['Connection', connection ? `at ${connection.node}${from}, MQTT ${version}` : 'none'],
      ['Copies', `${session.owners.join(', ')} (${session.leader} leads), shard ${session.shard}`],
      ['Queued', `${count(queue.messages, 'message')} of at most ${queue.messagesMax}`],
      [
        'In flight',
        `QoS 1: ${inflight.qos1}, QoS 2: ${inflight.qos2} (at most ${inflight.messagesMax})`,
      ],
      ['Expires', expiryText(session.expiry)],
    ] as const;
    for (const [name, value] of rows) this.log(`${name.padEnd(18)}${value}`);
    if (session.subscriptions.length === 0) {
      this.log(`${'Subscriptions'.padEnd(18)}none`);
      return;
    }
    this.log('');
    this.log(
      await formatTable(
        ['TOPIC FILTER', 'QOS', 'OPTIONS'],
        session.subscriptions.map((subscription) => [
          subscription.filter,
          subscription.qos,
          optionsText(subscription),
        ]),
      ),
    );
  }
}

function expiryText({ intervalSeconds, remainingSeconds }: SessionDetail['expiry']): string {
  if (intervalSeconds === NEVER_SECONDS) return 'never';
  if (intervalSeconds === 0) return 'with its connection';
  if (remainingSeconds === null) return `${intervalSeconds} s after it disconnects`;
  return `in ${remainingSeconds} s`;
}

function optionsText(subscription: SessionDetail['subscriptions'][number]): string {
  const { noLocal, retainAsPublished, subscriptionIdentifier } = subscription;
  const options = [
    noLocal ? 'No Local' : '',
    retainAsPublished ? 'Retain As Published' : '',
    subscriptionIdentifier === null ? '' : `identifier ${subscriptionIdentifier}`,
  ];
  return options.filter((option) => option !== '').join(', ') || '-';
}
