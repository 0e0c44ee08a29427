/** From a thrown value to lines on stderr and an exit code. */

/** Codes that are no error of the table; the table's own are 10 and above. */
const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

/**
 * Prints `thrown` to stderr: code, message, remedy; with `json` as one line of JSON.
 *
 * @returns the exit code
 */
export async function reportError(
  thrown: unknown,
  { json, id }: { readonly json: boolean; readonly id: string },
): Promise<number> {
  const exit = (thrown as { oclif?: { exit?: unknown } }).oclif?.exit;
  const isExit = (thrown as { code?: unknown }).code === 'EEXIT';
  if (isExit) return typeof exit === 'number' ? exit : EXIT_FAILURE;
  if (typeof exit === 'number') {
    print(json, { code: 'USAGE', message: messageOf(thrown), remedy: seeHelp(id) });
    return EXIT_USAGE;
  }
  // Loaded only now, and the table alone: what talks HTTP needs nothing else of the broker.
  const { toBrokerError } = await import('@shoal/broker/errors');
  const error = toBrokerError(thrown);
  print(json, { code: error.code, message: error.message, remedy: error.remedy });
  if (error.code === 'BROKER_ERR_INTERNAL' && !json && thrown instanceof Error) {
    process.stderr.write(`${thrown.stack ?? ''}\n`);
  }
  return error.exitCode;
}

/**
 * Prints to stderr that there is no such command.
 *
 * @param help the topic whose help to name; '' for that of all
 * @returns the exit code
 */
export function reportUnknownCommand(
  id: string,
  { json, help }: { readonly json: boolean; readonly help: string },
): number {
  const message = `There is no command \`${id.replaceAll(':', ' ')}\``;
  print(json, { code: 'USAGE', message, remedy: seeHelp(help) });
  return EXIT_USAGE;
}

function seeHelp(id: string): string {
  return `See \`shoal ${[...id.split(':'), '--help'].filter(Boolean).join(' ')}\`.`;
}

function print(
  json: boolean,
  body: { readonly code: string; readonly message: string; readonly remedy: string },
): void {
  process.stderr.write(
    json
      ? `${JSON.stringify(body)}\n`
      : `shoal: ${body.message}\n  ${body.remedy}${body.code === 'USAGE' ? '' : ` [${body.code}]`}\n`,
  );
}

function messageOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return text.replace(/\nSee more help with --help$/, '');
}
