/** Rules, passwords and times as the commands for users, roles and bans take and print them. */
import type { Rule } from '@shoal/broker';

/** How a rule is written. */
export const RULE_FORM = 'allow|deny publish|subscribe|all TOPIC';
/** Characters of a password that is made: 120 bits. */
const PASSWORD_BYTES = 15;
const PASSWORD_CHARACTERS_MAX = 1024;

/** @throws BROKER_ERR_REQUEST_INVALID */
export async function parseRule(text: string): Promise<Rule> {
  const found = /^(allow|deny)\s+(publish|subscribe|all)\s+(\S.*)$/.exec(text.trim());
  if (!found) throw await invalid(`--rule ${JSON.stringify(text)} must be '${RULE_FORM}'`);
  const [, effect, action, topic] = found;
  return { allow: effect === 'allow', action: action as Rule['action'], topic: topic! };
}

export function formatRule({ allow, action, topic, maximumQos, retain }: Rule): string {
  const qos = maximumQos === undefined ? '' : `, QoS at most ${maximumQos}`;
  const retained = retain === undefined ? '' : retain ? ', with RETAIN' : ', without RETAIN';
  return `${allow ? 'allow' : 'deny'} ${action} ${topic}${qos}${retained}`;
}

export async function makePassword(): Promise<string> {
  const { randomBytes } = await import('node:crypto');
  return randomBytes(PASSWORD_BYTES).toString('base64url');
}

/** The first line of standard input. @throws BROKER_ERR_REQUEST_INVALID if there is none */
export async function readPassword(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin) {
    text += String(chunk);
    if (text.includes('\n') || text.length > PASSWORD_CHARACTERS_MAX) break;
  }
  const [line = ''] = text.split(/\r?\n/);
  if (line === '') throw await invalid('standard input has no password: give it in one line');
  return line;
}

const UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds of `30m`, `12h`, `7d`. @throws BROKER_ERR_REQUEST_INVALID */
export async function parseDuration(text: string): Promise<number> {
  const found = /^(\d{1,6})([smhd])$/.exec(text);
  if (!found) throw await invalid(`--for ${text} must be a number with s, m, h or d, as in 12h`);
  return Number(found[1]) * UNITS[found[2] as keyof typeof UNITS];
}

async function invalid(detail: string): Promise<Error> {
  const { BrokerError } = await import('@shoal/broker');
  return new BrokerError('BROKER_ERR_REQUEST_INVALID', detail);
}
