import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

/**
 * Runs tasks on as many threads as the machine has cores; the results in the order of the tasks, whatever
 * the order in which they come.
 *
 * @param program a module that answers each message, a task, with one message, its result
 * @throws what the first failing task threw
 */
export async function runPool<Task, Result>(
  program: URL,
  tasks: readonly Task[],
  onDone: (done: number, task: Task) => void = () => {},
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  let done = 0;
  const runOne = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(program, { resourceLimits: { maxYoungGenerationSizeMb: 64 } });
      let at = -1;
      const give = (): void => {
        at = next;
        next++;
        if (at < tasks.length) worker.postMessage(tasks[at]);
        else void worker.terminate().then(() => resolve());
      };
      worker.on('message', (result: Result) => {
        results[at] = result;
        done++;
        onDone(done, tasks[at] as Task);
        give();
      });
      worker.on('error', (error) => {
        next = tasks.length;
        reject(error);
      });
      give();
    });
  const threads = Math.min(tasks.length, availableParallelism());
  await Promise.all(Array.from({ length: threads }, runOne));
  return results;
}
