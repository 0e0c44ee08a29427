/**
 * Tables of measurements in documents, made from the JSON that the measurement wrote:
 *
 *     <!-- results bench/results/swim/preset.json 0 -->
 *     …the table, and how to make it again…
 *     <!-- end of results -->
 *
 * The number is that of the table in the file. So a figure in a document has a commit and a command.
 */
import { readFileSync } from 'node:fs';

/** Documents with such tables. */
export const DOCUMENTS = ['docs/RESULTS.md', 'packages/swim/README.md'] as const;

interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (number | string)[])[];
}

/** What every such file has. */
interface Results {
  readonly commit: string;
  readonly command: string;
  readonly machine?: { readonly cpu?: string; readonly cores?: number; readonly node?: string };
  readonly tables: readonly Table[];
}

/** The document with each table as its file has it now. @throws Error if a file or table is missing */
export function withResults(document: string): string {
  return document.replaceAll(BLOCK, (_block, file: string, number: string) => {
    const results = JSON.parse(readFileSync(file, 'utf8')) as Results;
    const table = results.tables[Number(number)];
    if (table === undefined) throw new Error(`${file} has no table ${number}`);
    const body = `${markdown(table)}\n\n${origin(results)}`;
    return `<!-- results ${file} ${number} -->\n\n${body}\n\n<!-- end of results -->`;
  });
}

function markdown({ title, columns, rows }: Table): string {
  const isNumber = columns.map((_, at) => at > 0 && rows.every((row) => isNumeric(row[at])));
  const line = (cells: readonly (number | string)[]): string => `| ${cells.join(' | ')} |`;
  return [
    `${title}:`,
    '',
    line(columns),
    `|${isNumber.map((is) => (is ? '--:' : '---')).join('|')}|`,
    ...rows.map(line),
  ].join('\n');
}

function isNumeric(cell: number | string | undefined): boolean {
  return typeof cell === 'number' || /^[\d.,–]+$/.test(cell ?? '');
}

function origin({ commit, command, machine }: Results): string {
  const { cpu = '', cores = 0, node = '' } = machine ?? {};
  const where = machine === undefined ? '' : `, ${cores} cores (${cpu.trim()}), Node.js ${node}`;
  return `\`${command}\`, commit ${commit}${where}.`;
}

const BLOCK = /<!-- results (\S+) (\d+) -->[^]*?<!-- end of results -->/g;
