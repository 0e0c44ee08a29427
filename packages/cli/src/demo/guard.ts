/**
 * Ends the demo's nodes and removes its folder if the demo itself dies, however it dies.
 *
 * A small shell of its own process group reads from a pipe that only the demo holds. When the demo
 * is gone, by any signal, the pipe ends and the shell cleans up.
 */
import { type ChildProcess, spawn } from 'node:child_process';

/** Lines: `+PID` a node started, `-PID` it ended, `keep` leave the folder alone. */
const SCRIPT = `
pids= folder=$1
while read -r line; do
  case $line in
    +*) pids="$pids \${line#+} " ;;
    -*) pids=$(printf %s "$pids" | sed "s/ \${line#-} / /g") ;;
    keep) folder= ;;
  esac
done
for pid in $pids; do kill -9 "$pid" 2>/dev/null; done
if [ -n "$folder" ]; then sleep 0.2; rm -rf -- "$folder"; fi
`;

export class Guard {
  readonly #shell: ChildProcess;

  /** @param folder removed at the end, with all that is in it */
  constructor(folder: string) {
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT, 'shoal-demo-guard', folder], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.#shell.unref();
    this.#shell.on('error', () => undefined); // without a shell there is no second line of defence
    this.#shell.stdin?.on('error', () => undefined);
  }

  started(pid: number): void {
    this.#say(`+${pid}`);
  }

  ended(pid: number): void {
    this.#say(`-${pid}`);
  }

  keepFolder(): void {
    this.#say('keep');
  }

  #say(line: string): void {
    this.#shell.stdin?.write(`${line}\n`);
  }
}
