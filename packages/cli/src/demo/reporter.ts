/** What the demo tells the terminal: headings, steps, a progress bar on one line if it is one. */

const BAR_CELLS = 24;
const REDRAW_MS = 80;

/** Where the text goes; process.stdout and process.stderr are such. */
export interface Terminal {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export class Reporter {
  readonly #out: Terminal;
  readonly #live: boolean;
  #act = 0;
  #barShown = false;
  #drawnMs = 0;

  constructor(out: Terminal) {
    this.#out = out;
    this.#live = out.isTTY === true;
  }

  title(text: string): void {
    this.#line(this.#bold(text));
  }

  /** A new act of the story. */
  act(title: string): void {
    this.#act++;
    this.#line(`\n${this.#bold(`${this.#act}. ${title}`)}`);
  }

  say(text: string): void {
    for (const line of text.split('\n')) this.#line(line === '' ? '' : `   ${line}`);
  }

  /** A result that was checked. */
  check(ok: boolean, text: string): void {
    const mark = ok ? this.#color('32', '✓') : this.#color('31', '✗');
    this.#line(`   ${mark} ${text}`);
  }

  /** Redrawn in place on a terminal; elsewhere only what follows is printed. */
  progress(label: string, done: number, total: number): void {
    const nowMs = performance.now();
    if (!this.#live || (nowMs - this.#drawnMs < REDRAW_MS && done < total)) return;
    this.#drawnMs = nowMs;
    this.#barShown = true;
    const cells = total > 0 ? Math.min(BAR_CELLS, Math.floor((done / total) * BAR_CELLS)) : 0;
    const bar = '█'.repeat(cells) + '░'.repeat(BAR_CELLS - cells);
    this.#out.write(`\r\x1b[K   ${bar} ${label} ${count(done)} of ${count(total)}`);
  }

  #line(text: string): void {
    if (this.#barShown) this.#out.write('\r\x1b[K');
    this.#barShown = false;
    this.#out.write(`${text}\n`);
  }

  #bold(text: string): string {
    return this.#color('1', text);
  }

  #color(code: string, text: string): string {
    return this.#live ? `\x1b[${code}m${text}\x1b[0m` : text;
  }
}

/** 1234567 → 1,234,567 */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** 1234 → 1.2 s; 87 → 87 ms */
export function duration(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
