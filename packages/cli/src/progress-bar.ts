/** The progress bar of all commands: one line of a terminal, redrawn in place. */
import { SingleBar } from 'cli-progress';

/** Where the text goes; process.stdout and process.stderr are such. */
export interface Terminal {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const BAR_CELLS = 24;
/** What {@link SingleBar} counts up to. */
const WHOLE = 1000;

export class ProgressBar {
  readonly #bar: SingleBar;
  #started = false;

  /**
   * @param format as of cli-progress: `{bar}`, `{percentage}`, and the names of fields
   * @param how.wipes nothing is left of the bar at its end; without it, it stays as it was last
   */
  constructor(terminal: Terminal, format: string, { wipes = false } = {}) {
    this.#bar = new SingleBar({
      format,
      barsize: BAR_CELLS,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      hideCursor: !wipes,
      clearOnComplete: wipes,
      gracefulExit: !wipes,
      stream: terminal as NodeJS.WritableStream,
    });
  }

  /** @param fraction 0 to 1 */
  update(fraction: number, fields: object): void {
    const value = Math.round(fraction * WHOLE);
    if (this.#started) this.#bar.update(value, fields);
    else this.#bar.start(WHOLE, value, fields);
    this.#started = true;
  }

  end(): void {
    this.#bar.stop();
  }
}
