/**
 * What all commands share: flags, and how an error becomes text on stderr and an exit code.
 *
 * A command module imports oclif and this file only; what it needs to do its work is imported
 * when it runs, because oclif loads every command to print a list of them.
 */

import { Command, Flags } from '@oclif/core';
import type { AdminClient } from './admin-client.ts';
import { reportError } from './error-report.ts';

export const DEFAULT_ADMIN_URL = 'http://127.0.0.1:7780';

export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true;

  /** Prints `error` and sets the exit code; never throws, so that oclif adds nothing of its own. */
  override async catch(error: Error): Promise<void> {
    process.exitCode = await reportError(error, { json: this.jsonEnabled(), id: this.id ?? '' });
  }

  /** One line of JSON for programs; oclif's own is coloured and indented on a terminal. */
  override logJson(json: unknown): void {
    process.stdout.write(`${JSON.stringify(json)}\n`);
  }
}

export abstract class AdminCommand extends BaseCommand {
  static override baseFlags = {
    admin: Flags.string({
      description: 'Admin address of any node of the cluster.',
      default: DEFAULT_ADMIN_URL,
      env: 'SHOAL_ADMIN',
      helpGroup: 'GLOBAL',
      helpValue: 'URL',
    }),
  };

  /** Runs `use` with a client of the admin API at `admin`, and closes it in any case. */
  protected async withClient<T>(
    admin: string,
    use: (client: AdminClient) => Promise<T>,
  ): Promise<T> {
    const { AdminClient } = await import('./admin-client.ts');
    const client = await AdminClient.at(admin);
    try {
      return await use(client);
    } finally {
      client.close();
    }
  }
}
