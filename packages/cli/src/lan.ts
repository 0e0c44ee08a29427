/** `shoal start --lan`: a node that other machines of the network can use at once, by a password that it makes. */
import type { ReadyReport } from '@shoal/broker';
import { makePassword } from './access-text.ts';
import { AdminClient } from './admin-client.ts';

/** Name of the user that is made. */
const USER = 'shoal';
const LISTEN = '0.0.0.0:1883';
/** The node serves clients a moment before it has read its users. */
const RETRY_MS = 100;
const ATTEMPTS = 100;

/** Flags with what `--lan` stands for, where nothing else is said. */
export function lanFlags<T extends Readonly<Record<string, unknown>>>(flags: T): T {
  return { ...flags, 'mqtt-listen': flags['mqtt-listen'] ?? [LISTEN], 'auth-required': true };
}

/** A user for a cluster that has none. @returns lines that say how to come in */
export async function openLan({ admin, mqtt }: ReadyReport): Promise<readonly string[]> {
  const client = await AdminClient.at(admin);
  try {
    if ((await usersOf(client)) > 0)
      return ['Clients connect with the name and password of a user: see `shoal user list`.'];
    const password = await makePassword();
    await client.addUser(USER, { password, roles: ['all'] });
    const port = mqtt.slice(mqtt.lastIndexOf(':') + 1);
    const [host = '127.0.0.1'] = await hostsOfMachine();
    return [
      `User ${USER}, password ${password} (shown only now; \`shoal user passwd ${USER}\` makes another).`,
      `Try: mosquitto_sub -h ${host} -p ${port} -u ${USER} -P ${password} -t '#' -v`,
      'Passwords and messages go over the network as they are: use TLS where others could listen.',
    ];
  } finally {
    client.close();
  }
}

async function usersOf(client: AdminClient): Promise<number> {
  const { setTimeout: delay } = await import('node:timers/promises');
  for (let attempt = 1; ; attempt++) {
    try {
      return (await client.users()).users.length;
    } catch (error) {
      const isEarly = (error as { code?: unknown }).code === 'BROKER_ERR_NOT_READY';
      if (!isEarly || attempt === ATTEMPTS) throw error;
      await delay(RETRY_MS);
    }
  }
}

/** IPv4 addresses of this machine by which others may reach it. */
async function hostsOfMachine(): Promise<string[]> {
  const { networkInterfaces } = await import('node:os');
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);
}
