/**
 * How evenly do the members of a Shared Subscription get its messages, and how many a second?
 *
 *   npm run bench:shared -- --messages 100000 --json shared.json
 */
import { parseArgs } from 'node:util';
import { LocalCluster } from '../chaos/cluster.ts';
import { circumstances, integer, runProgram, writeJson } from '../program.ts';
import { runShared, type SharedFigures } from './run.ts';

const USAGE = `npm run bench:shared -- [options]
  --nodes N       nodes, 1 to 9                                          (3)
  --members N     members of the group, 1 to 1,000                       (10)
  --messages N    messages of each run, 1,000 to 10,000,000              (100000)
  --json FILE     writes the report
  --help          this

Exit code: 0 every message came and each member got its share (max/min at most 1.1), 1 not so, 2 wrong usage.`;

const FAIR = 1.1;
const TIMEOUT_MS = 600_000;

interface Arguments {
  readonly nodes: number;
  readonly members: number;
  readonly messages: number;
  readonly json: string | undefined;
}

function readArguments(): Arguments | undefined {
  const { values } = parseArgs({
    options: {
      nodes: { type: 'string', default: '3' },
      members: { type: 'string', default: '10' },
      messages: { type: 'string', default: '100000' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  return {
    nodes: integer('nodes', values.nodes, 1, 9),
    members: integer('members', values.members, 1, 1000),
    messages: integer('messages', values.messages, 1000, 10_000_000),
    json: values.json,
  };
}

const whole = (n: number) => Math.round(n).toLocaleString('en-US');

async function main({ nodes, members, messages, json }: Arguments): Promise<void> {
  const cluster = LocalCluster.prepare({ nodes });
  const stop = (): void => void cluster.stop().then(() => process.exit(130));
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const results: SharedFigures[] = [];
  try {
    await cluster.form();
    for (const [count, topics] of [
      [1, 1000],
      [Math.ceil(members / 2), 1000],
      [members, 1000],
      [members, 1],
    ] as const) {
      const name = `shared-${results.length}`;
      const run = { cluster, members: count, topics, messages, name, timeoutMs: TIMEOUT_MS };
      const f = await runShared(run);
      results.push(f);
      console.log(
        `${count} members, ${topics} topics: ${whole(f.perSecond)} a second, ` +
          `most ${f.most}, least ${f.least}, max/min ${(f.most / f.least).toFixed(3)}, ${f.repeated} again`,
      );
    }
  } finally {
    process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop);
    await cluster.stop();
  }
  const tables = [
    {
      title: `${whole(messages)} messages at QoS 1 to the members of a group, round-robin, ${nodes} nodes on one machine`,
      columns: ['members', 'topics', 'a second', 'most', 'least', 'max/min', 'came again'],
      rows: results.map((f) => [
        String(f.members),
        whole(f.topics),
        whole(f.perSecond),
        whole(f.most),
        whole(f.least),
        (f.most / f.least).toFixed(3),
        String(f.repeated),
      ]),
    },
  ];
  const command = `npm run bench:shared -- --nodes ${nodes} --members ${members} --messages ${messages}`;
  if (json) writeJson(json, { ...circumstances(), command, tables, results });
  const fair = results.every((f) => f.most / f.least <= FAIR);
  process.exitCode = fair ? 0 : 1;
}

await runProgram(USAGE, readArguments, main);
