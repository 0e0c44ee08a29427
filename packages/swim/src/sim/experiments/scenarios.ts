import { detection } from './detection.ts';
import { preset } from './preset.ts';
import type { Scenario } from './report.ts';

/** Every experiment, in the order in which `--scenario all` runs them. */
export const SCENARIOS: readonly Scenario[] = [preset, detection];
