/**
 * The mocha reporter of `npm test`: one line per test file's outermost suite, failures in full.
 *
 * A run has more than a thousand tests; a line each would bury the one that failed. The counts go
 * to the file named by SHOAL_TEST_COUNTS, where the stage runner picks them up: counts that are not
 * complete mean that the run died, which is a failure too.
 */
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import Mocha from 'mocha';
import type { MochaCounts } from './counts.ts';

const { EVENT_RUN_END, EVENT_SUITE_END, EVENT_TEST_FAIL, EVENT_TEST_PASS, EVENT_TEST_PENDING } =
  Mocha.Runner.constants;

/** Lines of one failure: a history of a thousand events would bury the others. */
const FAILURE_LINES_MAX = 60;

class StageReporter extends Mocha.reporters.Base {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const counts: MochaCounts = {
      passed: 0,
      failed: 0,
      skipped: [],
      failures: [],
      complete: false,
    };
    const save = () => {
      const path = process.env['SHOAL_TEST_COUNTS'];
      if (path !== undefined) writeFileSync(path, JSON.stringify(counts));
    };
    let suitePassed = 0;
    let suiteFailed = 0;
    let suiteStartMs = performance.now();
    runner.on(EVENT_TEST_PASS, () => {
      counts.passed++;
      suitePassed++;
    });
    runner.on(EVENT_TEST_FAIL, (test: Mocha.Test, error: Error) => {
      counts.failed++;
      suiteFailed++;
      counts.failures.push(test.fullTitle());
      const file = test.file === undefined ? '' : ` (${relative(process.cwd(), test.file)})`;
      console.log(`    ✖ ${test.fullTitle()}${file}`);
      const lines = (error.stack ?? String(error)).split('\n');
      const left = lines.length - FAILURE_LINES_MAX;
      const shown = left > 0 ? [...lines.slice(0, FAILURE_LINES_MAX), `… ${left} lines`] : lines;
      console.log(shown.join('\n').replace(/^/gm, '      '));
    });
    runner.on(EVENT_TEST_PENDING, (test: Mocha.Test) => {
      counts.skipped.push(test.fullTitle());
      console.log(`    – skipped: ${test.fullTitle()}`);
    });
    runner.on(EVENT_SUITE_END, (suite: Mocha.Suite) => {
      if (suite.root || suite.parent?.root !== true) return;
      const seconds = ((performance.now() - suiteStartMs) / 1000).toFixed(1);
      const mark = suiteFailed > 0 ? '✖' : '✔';
      const failed = suiteFailed > 0 ? `, ${suiteFailed} failed` : '';
      console.log(`    ${mark} ${suite.title}: ${suitePassed} passed${failed} (${seconds} s)`);
      suitePassed = 0;
      suiteFailed = 0;
      suiteStartMs = performance.now();
      save();
    });
    runner.once(EVENT_RUN_END, () => {
      counts.complete = true;
      save();
    });
  }
}

// mocha loads reporters by require(); this is what require() of this module answers.
export { StageReporter as 'module.exports' };
