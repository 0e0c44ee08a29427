import { Args } from '@oclif/core';
import type { SessionExplanation } from '@shoal/broker';
import { AdminCommand } from '../../base-command.ts';

export default class SessionExplain extends AdminCommand {
  static override summary = 'Explain where a session lives, and why there.';
  static override description =
    `Shows its shard, the nodes that placement wants for it, the view (leader, voters, active set), how far each copy is, and the reasons. Works for any Client Identifier, with or without a session.`;
  static override examples = ['<%= config.bin %> session explain sensor-17'];
  static override args = {
    id: Args.string({ description: 'Client Identifier.', required: true }),
  };

  override async run(): Promise<SessionExplanation> {
    const { args, flags } = await this.parse(SessionExplain);
    const explanation = await this.withClient(flags.admin, (client) => client.explain(args.id));
    if (!this.jsonEnabled()) await this.#print(explanation);
    return explanation;
  }

  async #print(explanation: SessionExplanation): Promise<void> {
    const { formatTable, plain } = await import('../../format.ts');
    const { view } = explanation;
    const rows = [
      [
        'Client Identifier',
        `${plain(explanation.clientId)}${explanation.exists ? '' : ' (no session)'}`,
      ],
      ['Shard', String(explanation.shard)],
      ['Preference list', explanation.preferenceList.join(', ')],
      ['Leader', explanation.leader ?? 'none within reach'],
      [
        'View',
        view === null
          ? 'not known'
          : `${view.counter} of ${view.leader}, ${view.token ? 'token' : 'branch'}`,
      ],
      ['Voters', view?.voters.join(', ') ?? '-'],
      ['Active set', view?.active.join(', ') ?? '-'],
    ] as const;
    for (const [name, value] of rows) this.log(`${name.padEnd(18)}${value}`);
    this.log('');
    this.log(
      await formatTable(
        ['COPY', 'ROLE', 'MEMBER', 'LAST INDEX', 'LAG'],
        explanation.copies.map((copy) => [
          copy.node,
          copy.role,
          copy.memberState,
          copy.endIndex ?? '?',
          copy.lagEntries ?? '?',
        ]),
      ),
    );
    this.log('');
    for (const reason of explanation.why) this.log(reason);
  }
}
