/**
 * Black box: real node processes, real sockets, real disks, SIGKILL, and a checker that knows only
 * what clients saw.
 *
 *   npm run chaos -- --rounds 200 --scenario kill-any --nodes 3 --json results.json
 *   npm run chaos -- --broker mosquitto-memory --rounds 3      (has to fail: it forgets)
 *
 * Exit code 0 if nothing was violated, 1 if something was, 2 for wrong usage. `cut` and `loss` also have
 * limits of time, and `cut` exits with 77 where there can be no network namespaces.
 */
import fs from 'node:fs';
import { parseArgs } from 'node:util';
import { circumstances, integer, runProgram, writeJson } from '../program.ts';
import type { BrokerUnderTest } from './broker-under-test.ts';
import type { Checker } from './checker.ts';
import { LocalCluster } from './cluster.ts';
import type { Distribution } from './figures.ts';
import { MosquittoBroker } from './mosquitto.ts';
import { type RunReport, runChaos } from './run.ts';
import { type RoundFigures, SCENARIOS, type Scenario } from './scenarios.ts';
import { measureWaits } from './waits/main.ts';
import {
  NODES_MIN,
  WAIT_SCENARIOS,
  WAIT_SHAPES,
  type WaitScenario,
  waitScenario,
} from './waits/shapes.ts';

const USAGE = `npm run chaos -- [options]
  --rounds N          rounds                           (200; of cut 10, of loss 50)
  --scenario NAME     ${SCENARIOS.join(' | ')} |
                      cut | loss: waits of single publishes              (kill-any)
  --broker NAME       shoal | mosquitto | mosquitto-memory               (shoal)
  --nodes N           nodes at the start                    (3; of cut and loss 5)
  --publishers P      publishers, QoS 1 and 2 mixed                      (4)
  --subscribers S     hopping subscribers with persistent sessions       (4)
  --rate R            messages a second, all publishers together         (400)
  --seed X            draws the choices of the run                       (random)
  --calm MS           longest load between kills, longest absence        (2500)
  --start-arg ARG     further flag of shoal start; may be repeated
  --json FILE         writes the report
  --history FILE      writes every event as a line of JSON
  --keep-going        do not stop at the first violation
  --keep              leave data and logs behind
Of cut and loss, whose rounds are of each shape:
  --shape NAME        may be repeated; cut: ${WAIT_SHAPES.cut.join(' | ')}
                      loss: ${WAIT_SHAPES.loss.join(' | ')}                                  (all)
  --lasts MS          how long a cut, or the loss, lasts                 (20000)
Cuts need iproute2, nftables, and root or user namespaces: exit code 77 without.`;

interface Arguments {
  readonly rounds: number;
  readonly scenario: Scenario | WaitScenario;
  readonly brokerName: string;
  readonly nodes: number;
  readonly publishers: number;
  readonly subscribers: number;
  readonly rate: number;
  readonly seed: string;
  readonly calmMsMax: number;
  readonly shapes: readonly string[];
  readonly lastsMs: number;
  readonly startArgs: readonly string[];
  readonly json: string | undefined;
  readonly historyFile: string | undefined;
  readonly failFast: boolean;
  readonly keep: boolean;
}

const ROUNDS = { cut: '10', loss: '50', other: '200' };
const NODES = { waits: '5', other: '3' };

function readArguments(): Arguments | undefined {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string' },
      scenario: { type: 'string', default: 'kill-any' },
      broker: { type: 'string', default: 'shoal' },
      nodes: { type: 'string' },
      publishers: { type: 'string', default: '4' },
      subscribers: { type: 'string', default: '4' },
      rate: { type: 'string', default: '400' },
      seed: { type: 'string', default: Math.random().toString(36).slice(2, 8) },
      calm: { type: 'string', default: '2500' },
      shape: { type: 'string', multiple: true, default: [] },
      lasts: { type: 'string', default: '20000' },
      'start-arg': { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
      history: { type: 'string' },
      'keep-going': { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const all = [...SCENARIOS, ...WAIT_SCENARIOS];
  const scenario = all.find((name) => name === values.scenario);
  if (!scenario) throw new Error(`--scenario must be one of ${all.join(', ')}`);
  const wait = waitScenario(scenario);
  const shapes: readonly string[] = wait ? WAIT_SHAPES[wait] : [];
  const unknown = values.shape.find((name) => !shapes.includes(name));
  if (unknown !== undefined) throw new Error(`--shape ${unknown}: ${scenario} has no such shape`);
  const nodes = values.nodes ?? NODES[wait ? 'waits' : 'other'];
  return {
    rounds: integer('rounds', values.rounds ?? ROUNDS[wait ?? 'other'], 1),
    scenario,
    brokerName: values.broker,
    nodes: integer('nodes', nodes, wait ? NODES_MIN : 1),
    publishers: integer('publishers', values.publishers, 1),
    subscribers: integer('subscribers', values.subscribers, 1),
    rate: integer('rate', values.rate, 1),
    seed: values.seed,
    calmMsMax: integer('calm', values.calm, 1),
    shapes: values.shape,
    lastsMs: integer('lasts', values.lasts, 1),
    startArgs: values['start-arg'],
    json: values.json,
    historyFile: values.history,
    failFast: !values['keep-going'],
    keep: values.keep,
  };
}

function createBroker(args: Arguments): Promise<BrokerUnderTest> {
  switch (args.brokerName) {
    case 'shoal':
      return LocalCluster.create({ nodes: args.nodes, startArgs: args.startArgs });
    case 'mosquitto':
      return MosquittoBroker.create({ persistence: true });
    case 'mosquitto-memory':
      return MosquittoBroker.create({ persistence: false });
    default:
      throw new Error('--broker must be shoal, mosquitto or mosquitto-memory');
  }
}

function printRound(of: number, round: number, figures: RoundFigures, checker: Checker): void {
  const ms = (value: number | undefined): string =>
    value === undefined ? '-' : `${Math.round(value)} ms`;
  const { inFlight, inFlightThere } = figures;
  const kill =
    inFlight === undefined
      ? ''
      : ` with ${inFlight} in flight (${inFlightThere} there, ${figures.cutOff} cut off)`;
  const times =
    inFlight === undefined
      ? ''
      : `; first ack ${ms(figures.firstAckMs)}, message ${ms(figures.firstMessageMs)}`;
  const whole = figures.whole ? `whole after ${ms(figures.wholeMs)}` : 'NOT WHOLE';
  const { ackedQos1, ackedQos2 } = checker.figures;
  console.log(
    `round ${round}/${of}: ${Math.round(figures.ackedPerSecond)} acked/s, ${figures.action}${kill}` +
      `${times}; ${whole}; ${ackedQos1 + ackedQos2} acked so far, ` +
      `${checker.violationCount} violations`,
  );
}

function printReport(report: RunReport): void {
  const show = (name: string, d: Distribution | null): void => {
    if (d) console.log(`${name}: min ${d.min}, p50 ${d.p50}, p99 ${d.p99}, max ${d.max}`);
  };
  const { figures, counts } = report.verdict;
  console.log(`\n${report.rounds.length} rounds in ${report.seconds} s, ${report.hops} hops`);
  console.log(
    `kills with writes in flight: ${report.killsInFlight} of ${report.kills}, cut off: ${report.killsCutOff}`,
  );
  show('acknowledged a second while whole', report.ackedPerSecond);
  show('kill to first acknowledgement, ms', report.firstAckMs);
  show('kill to first message sent after it, ms', report.firstMessageMs);
  show('kill to all moved clients connected, ms', report.reconnectedMs);
  show('kill to first message of a moved client, ms', report.movedMessageMs);
  show('restart or change to whole, ms', report.wholeMs);
  console.log(
    `messages: ${figures.ackedQos1} QoS 1 and ${figures.ackedQos2} QoS 2 acknowledged, ` +
      `${figures.deliveredQos1 + figures.deliveredQos2} deliveries, ` +
      `${figures.repeatsQos1} repeats at QoS 1, ${figures.resumes} resumed sessions`,
  );
  console.log(
    `acknowledged and lost: ${counts['lost-qos1']} QoS 1, ${counts['lost-qos2']} QoS 2; ` +
      `QoS 2 duplicates: ${counts['duplicate-qos2']}; order violations: ${counts.order}; ` +
      `sessions lost: ${counts['session-lost']}`,
  );
  const others = Object.entries(counts).filter(
    ([kind, n]) => n > 0 && !/^(lost|dup|order|session-lost)/.test(kind),
  );
  for (const [kind, n] of others) console.log(`${kind}: ${n}`);
  console.log(
    `not whole in time: ${report.notWhole}; connections given up after silence: ${report.stalls}; ` +
      `never acknowledged: ${report.unsettled}; refused: ${figures.publishesRefused}; ` +
      `abandoned: ${figures.publishesAbandoned}`,
  );
  for (const event of report.evidence) if (event.type === 'note') console.log(`  ${event.text}`);
  for (const violation of report.verdict.violations.slice(0, 20)) {
    const { kind, client, message, detail, index } = violation;
    console.log(`  ${kind} ${client} ${message} ${detail} (event ${index})`);
  }
  console.log(report.ok ? 'PASSED' : 'FAILED');
}

async function main(args: Arguments): Promise<void> {
  const { scenario } = args;
  const wait = waitScenario(scenario);
  if (wait) return measureWaits({ ...args, scenario: wait });
  return playChaos({ ...args, scenario: scenario as Scenario });
}

async function playChaos(args: Arguments & { readonly scenario: Scenario }): Promise<void> {
  console.log(`seed ${args.seed}: ${args.scenario}, ${args.rounds} rounds, ${args.brokerName}`);
  const broker = await createBroker(args);
  let keep = args.keep;
  const stop = (signal: NodeJS.Signals): void => {
    console.log(`\n${signal}: cleaning up`);
    void broker.stop(args.keep).then(() => process.exit(130));
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const events = args.historyFile ? fs.createWriteStream(args.historyFile) : undefined;
  try {
    const report = await runChaos({
      ...args,
      broker,
      onRound: (round, figures, checker) => printRound(args.rounds, round, figures, checker),
      ...(events ? { onEvent: (event) => void events.write(`${JSON.stringify(event)}\n`) } : {}),
    });
    printReport(report);
    if (args.json) writeJson(args.json, { ...circumstances(), args, report });
    process.exitCode = report.ok ? 0 : 1;
    keep ||= !report.ok;
  } catch (error) {
    keep = true;
    throw error;
  } finally {
    events?.end();
    await broker.stop(keep);
    if (keep) console.log(`data and logs are in ${broker.folder}`);
  }
}

await runProgram(USAGE, readArguments, main);
