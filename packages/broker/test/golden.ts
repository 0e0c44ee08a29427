/**
 * Golden texts: what happens in the cases that matter, kept beside the test that tells it, to be read. A text
 * that is new, or changed on purpose, is written by
 *
 *     SHOAL_WRITE_FIXTURES=1 npx mocha --node-option conditions=shoal-source FILE
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** Lines of text, each with its time where that differs from the line before. */
export class Timeline {
  readonly #nowMs: () => number;
  readonly #beganMs: number;
  readonly #whoWidth: number;
  readonly #lines: string[] = [];
  #saidMs = -1;

  /** @param whoWidth characters of the column that says at which node, or on which way */
  constructor(nowMs: () => number, whoWidth: number) {
    this.#nowMs = nowMs;
    this.#beganMs = nowMs();
    this.#whoWidth = whoWidth;
  }

  get text(): string {
    return `${this.#lines.map((line) => line.trimEnd()).join('\n')}\n`;
  }

  /** What happens from outside. */
  step(what: string): void {
    this.#lines.push('', `# ${what}`);
    this.#saidMs = -1;
  }

  say(who: string, what: string): void {
    const ms = this.#nowMs() - this.#beganMs;
    const time = ms === this.#saidMs ? '' : `${ms} ms`;
    this.#saidMs = ms;
    this.#lines.push(`${time.padStart(8)}  ${who.padEnd(this.#whoWidth)} ${what}`);
  }
}

/** One test for each case, and one that its text and no other is in the folder. */
export function itTells(
  folder: URL,
  cases: Readonly<Record<string, () => { readonly text: string }>>,
): void {
  const fileOf = (name: string) => `${name.replaceAll(' ', '-')}.txt`;

  it('has a text for each case, and no other', () => {
    if (process.env['SHOAL_WRITE_FIXTURES'] === '1')
      for (const [name, run] of Object.entries(cases))
        writeFileSync(new URL(fileOf(name), folder), run().text);
    assert.deepEqual(readdirSync(folder).toSorted(), Object.keys(cases).map(fileOf).toSorted());
  });

  for (const [name, run] of Object.entries(cases))
    it(name, () => {
      assert.equal(run().text, readFileSync(new URL(fileOf(name), folder), 'utf8'));
    });
}
