/** What the demo tells the terminal: headings, steps, and a progress bar where it is a terminal. */
import { ProgressBar, type Terminal } from '../progress-bar.ts';

export class Reporter {
  readonly #out: Terminal;
  readonly #live: boolean;
  #act = 0;
  #bar: ProgressBar | null = null;

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
    if (!this.#live) return;
    this.#bar ??= new ProgressBar(this.#out, '   {bar} {label} {reached} of {wanted}', {
      wipes: true,
    });
    const fraction = total > 0 ? Math.min(1, done / total) : 0;
    this.#bar.update(fraction, { label, reached: count(done), wanted: count(total) });
  }

  /** Takes the bar away, if there is one. */
  wipe(): void {
    this.#bar?.end();
    this.#bar = null;
  }

  #line(text: string): void {
    this.wipe();
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
