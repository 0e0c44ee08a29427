import { ablation } from './ablation.ts';
import { bootstrap } from './bootstrap.ts';
import { detection } from './detection.ts';
import { growth } from './growth.ts';
import { lifeguard } from './lifeguard.ts';
import { load } from './load.ts';
import { preset } from './preset.ts';
import { rapid } from './rapid.ts';
import { refusal } from './refusal.ts';
import type { Scenario } from './report.ts';
import { split } from './split.ts';

/** Every experiment, in the order in which `--scenario all` runs them. */
export const SCENARIOS: readonly Scenario[] = [
  preset,
  detection,
  refusal,
  growth,
  lifeguard,
  load,
  rapid,
  bootstrap,
  split,
  ablation,
];
