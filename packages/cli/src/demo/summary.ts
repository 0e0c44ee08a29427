/** What was checked and whether it held. Pure. */
import type { StreamQos } from './publisher.ts';
import { count } from './reporter.ts';
import type { Roles } from './roles.ts';
import type { Tally } from './tally.ts';

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly text: string;
}

/** Everything that was measured, filled act by act. */
export interface Figures {
  startMs: number;
  clientId: string;
  roles: Roles | null;
  acknowledgedBeforeKill: number;
  inFlightAtKill: number;
  sessionPresent: boolean;
  killToConnectedMs: number;
  killToFirstMessageMs: number | null;
  restartMs: number;
  joinMs: number;
  removeMs: number;
  removedExit: number | string;
}

export interface Summary {
  readonly ok: boolean;
  readonly checks: readonly Check[];
  readonly figures: Figures;
}

/** What the publishing side knows. */
export interface SentCounts {
  sent(qos: StreamQos): number;
  acked(qos: StreamQos): number;
  readonly refused: number;
}

/** What the receiving side knows. */
export interface ReceivedCounts {
  readonly tallies: Readonly<Record<StreamQos, Tally>>;
  readonly unexpected: number;
}

/**
 * Compares what was acknowledged with what arrived: nothing lost, in order, QoS 2 exactly once.
 * QoS 1 may arrive twice; that is counted and shown, and no failure.
 */
export function checksOf(when: string, sent: SentCounts, received: ReceivedCounts): Check[] {
  const checks = ([1, 2] as const).map((qos): Check => {
    const tally = received.tallies[qos];
    const acked = sent.acked(qos);
    const allAcked = acked === sent.sent(qos);
    const missing = tally.missingOf(acked);
    const doubled = qos === 2 ? tally.duplicates : 0;
    const ok = allAcked && missing === 0 && doubled === 0 && tally.outOfOrder === 0;
    const twice =
      qos === 2
        ? `${count(tally.duplicates)} twice`
        : `${count(tally.duplicates)} more than once (allowed)`;
    const unanswered = allAcked ? '' : ` (${count(sent.sent(qos) - acked)} were not)`;
    const text =
      `QoS ${qos}: ${count(acked)} messages acknowledged${unanswered}, ` +
      `${count(tally.distinct)} received, ${count(missing)} lost, ` +
      `${count(tally.outOfOrder)} out of order, ${twice}`;
    return { name: `QoS ${qos} ${when}`, ok, text };
  });
  if (sent.refused > 0 || received.unexpected > 0) {
    const text =
      `${count(sent.refused)} publishes refused, ${count(received.unexpected)} messages received ` +
      'that nobody sent';
    checks.push({ name: `nothing unexpected ${when}`, ok: false, text });
  }
  return checks;
}
