/**
 * `npm run chaos -- --scenario cut` and `--scenario loss`: how long single publishes wait while nodes do not
 * reach each other, or one is lost, by how that concerns them.
 */
import fs from 'node:fs';
import { Prng } from '@shoal/swim/sim';
import { circumstances, writeJson } from '../../program.ts';
import { LocalCluster } from '../cluster.ts';
import type { StampedEvent } from '../history.ts';
import { cutFault, type Fault, lossFault } from './fault.ts';
import { enterNetwork, insideNetwork, Machines, networkMissing } from './machines.ts';
import { describeRound, describeShape, isSafe, reportShape, type ShapeReport } from './report.ts';
import { playRound, type Round } from './round.ts';
import {
  CUT_SHAPES,
  type CutShape,
  LOSS_SHAPES,
  type LossShape,
  type WaitScenario,
} from './shapes.ts';

export interface WaitArguments {
  readonly scenario: WaitScenario;
  /** None: all of the scenario. */
  readonly shapes: readonly string[];
  /** Of each shape. */
  readonly rounds: number;
  readonly nodes: number;
  readonly lastsMs: number;
  readonly seed: string;
  readonly startArgs: readonly string[];
  readonly json: string | undefined;
  readonly historyFile: string | undefined;
  readonly failFast: boolean;
  readonly keep: boolean;
}

/** Exit code where namespaces are refused: skipped, not failed. */
const SKIPPED = 77;
/** The cluster only has to be there; a busy machine may take its time. */
const FORM_TIMEOUT_MS = 180_000;

/** Sets the exit code: 0 nothing was violated or late, 1 something was, 77 not possible here. */
export async function measureWaits(args: WaitArguments): Promise<void> {
  if (args.scenario === 'cut' && !insideNetwork()) {
    const missing = networkMissing();
    if (missing === undefined) return enterNetwork();
    console.log(`SKIPPED: ${missing}`);
    process.exitCode = SKIPPED;
    return;
  }
  console.log(`seed ${args.seed}: ${args.scenario}, ${args.rounds} rounds, ${args.nodes} nodes`);
  const stage = new Stage(args);
  const stop = (signal: NodeJS.Signals): void => {
    console.log(`\n${signal}: cleaning up`);
    void stage.clear(args.keep).then(() => process.exit(130));
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const reports = await playAll(args, stage);
  for (const report of reports) console.log(describeShape(report));
  if (args.json) writeJson(args.json, { ...circumstances(), args, reports });
  const safe = reports.every((report) => report.safe);
  const timely = reports.every((report) => report.timely);
  console.log(safe ? (timely ? 'PASSED' : 'FAILED: later than wanted') : 'FAILED: violated');
  process.exitCode = safe && timely ? 0 : 1;
}

async function playAll(args: WaitArguments, stage: Stage): Promise<ShapeReport[]> {
  const { scenario, shapes, rounds: of, seed } = args;
  const wanted = scenario === 'cut' ? CUT_SHAPES : LOSS_SHAPES;
  const random = new Prng(seed);
  const events = args.historyFile ? fs.createWriteStream(args.historyFile) : undefined;
  const onEvent = (event: StampedEvent): void => void events?.write(`${JSON.stringify(event)}\n`);
  const reports: ShapeReport[] = [];
  for (const shape of wanted.filter((name) => shapes.length === 0 || shapes.includes(name))) {
    const rounds: Round[] = [];
    for (let n = 1; n <= of; n++) {
      const label = `${seed}-${shape}-${n}`;
      const round = await stage.play({ shape, label, random: random.fork(label), onEvent });
      rounds.push(round);
      console.log(`round ${n}/${of}, ${describeRound(round)}`);
      if (args.failFast && !isSafe(round)) break;
    }
    reports.push(reportShape(shape, rounds));
    if (args.failFast && !rounds.every(isSafe)) break;
  }
  events?.end();
  return reports;
}

/**
 * The cluster of one round after the other. Each has one of its own: membership holds it against a node if
 * it comes and goes, and leaves it out of placement for minutes.
 */
class Stage {
  readonly #args: WaitArguments;
  #machines: Machines | undefined;
  #cluster: LocalCluster | undefined;

  constructor(args: WaitArguments) {
    this.#args = args;
  }

  async play(plan: {
    readonly shape: CutShape | LossShape;
    readonly label: string;
    readonly random: Prng;
    readonly onEvent: (event: StampedEvent) => void;
  }): Promise<Round> {
    const { scenario, nodes, startArgs, lastsMs } = this.#args;
    const { shape, random } = plan;
    const machines = scenario === 'cut' ? await Machines.create() : undefined;
    this.#machines = machines;
    const options = { nodes, startArgs, readyTimeoutMs: FORM_TIMEOUT_MS };
    const cluster = LocalCluster.prepare({ ...options, ...(machines ? { machines } : {}) });
    this.#cluster = cluster;
    let keep = false;
    try {
      await cluster.form();
      console.log(`whole: ${cluster.names.join(', ')}`);
      keep = true;
      const fault = faultOf(shape, { cluster, machines, random, lastsMs });
      const round = await playRound({ ...plan, cluster, fault, qos2: scenario === 'cut' });
      keep = this.#args.keep || !isSafe(round);
      return round;
    } finally {
      await this.clear(keep);
      if (keep) console.log(`data and logs are in ${cluster.folder}`);
    }
  }

  async clear(keep: boolean): Promise<void> {
    await this.#cluster?.stop(keep);
    this.#machines?.remove();
  }
}

function faultOf(
  shape: CutShape | LossShape,
  {
    machines,
    ...rest
  }: {
    readonly cluster: LocalCluster;
    readonly machines: Machines | undefined;
    readonly random: Prng;
    readonly lastsMs: number;
  },
): Fault {
  if (shape === 'kill' || shape === 'stop') return lossFault({ shape, ...rest });
  if (!machines) throw new Error('a cut needs machines');
  return cutFault({ shape, machines, ...rest });
}
