import { Args } from '@oclif/core';
import type { ClientDetail } from '@shoal/broker';
import { AdminCommand } from '../../base-command.ts';

export default class ClientShow extends AdminCommand {
  static override summary = 'Show one client: its connection, and what went wrong last.';
  static override description =
    'Of a client that is away: what ended its last connection, as far as nodes remember. Its queue is shown by `session show`.';
  static override examples = ['<%= config.bin %> client show sensor-17'];
  static override args = {
    id: Args.string({ description: 'Client Identifier.', required: true }),
  };

  override async run(): Promise<ClientDetail> {
    const { args, flags } = await this.parse(ClientShow);
    const detail = await this.withClient(flags.admin, (admin) => admin.client(args.id));
    if (!this.jsonEnabled()) await this.#print(detail);
    return detail;
  }

  async #print({ clientId, connection, lastError, silent }: ClientDetail): Promise<void> {
    const { count, formatBytes, plain, versionName } = await import('../../format.ts');
    const rows: [string, string][] = [['Client Identifier', plain(clientId)]];
    if (connection === null) rows.push(['Connection', 'none']);
    else {
      const { node, listener, remote, protocolVersion, keepAliveSeconds } = connection;
      const keepAlive =
        keepAliveSeconds === 0 ? 'no Keep Alive' : `Keep Alive ${keepAliveSeconds} s`;
      rows.push(
        ['Connection', `at ${node}, listener ${listener}, from ${remote}`],
        ['Protocol', `MQTT ${versionName(protocolVersion)}, ${keepAlive}`],
        ['Since', connection.connectedSince],
        ['Session', connection.persistent ? 'stored' : 'ends with the connection'],
        ...(connection.certificate === null
          ? []
          : ([['Certificate', plain(connection.certificate)]] as [string, string][])),
        [
          'Received',
          `${count(connection.packetsReceived, 'packet')}, ${formatBytes(connection.bytesReceived)}; ${connection.unansweredRequests} not answered`,
        ],
        [
          'Sent',
          `${count(connection.packetsSent, 'packet')}, ${formatBytes(connection.bytesSent)}; ${formatBytes(connection.socketBytes)} wait for its socket`,
        ],
        [
          'In flight',
          `${count(connection.inflightMessages, 'message')} of at most ${connection.receiveMaximum}, ${connection.waitingMessages} waiting`,
        ],
        ['Subscriptions', String(connection.subscriptions)],
      );
    }
    if (lastError === null) rows.push(['Last error', 'none']);
    else {
      const { at, node, reason, why } = lastError;
      rows.push([
        'Last error',
        plain(`${reason === '' ? why : `${reason}: ${why}`}, at ${node}, ${at}`),
      ]);
    }
    for (const [name, value] of rows) this.log(`${name.padEnd(18)}${value}`);
    if (silent.length > 0) this.log(`${'Not asked'.padEnd(18)}${silent.join(', ')}: no answer`);
  }
}
