/** What does a subscription cost in memory, and a match in time? Exact filters, then one in ten wild. */
import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { FilterSet } from '../../packages/broker/src/mqtt/filter-set.ts';
import { TopicIndex } from '../../packages/broker/src/mqtt/topic-index.ts';
import { TopicTree } from '../../packages/broker/src/mqtt/topic-tree.ts';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

function heapBytes(): number {
  gc();
  gc();
  return process.memoryUsage().heapUsed;
}

/** A flat string: a concatenation would be flattened by the tree, and count as negative memory. */
function flat(text: string): string {
  return Buffer.from(text).toString('latin1');
}

function topicOf(i: number): string {
  return `site/${i % 97}/line/${i % 1009}/device/${i}/state`;
}

function filterOf(i: number, wildcards: boolean): string {
  if (!wildcards || i % 10 !== 0) return topicOf(i);
  return i % 20 === 0 ? `site/+/line/+/device/${i}/state` : `site/${i % 97}/line/+/device/${i}/#`;
}

function matchNs(tree: TopicTree<object>, subscriptions: number): number {
  const topics = Array.from({ length: 20_000 }, (_, i) => topicOf((i * 7919) % subscriptions));
  let found = 0;
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 4; round++) {
    const start = process.hrtime.bigint();
    for (const topic of topics) {
      tree.match(topic, () => {
        found++;
      });
    }
    best = Math.min(best, Number(process.hrtime.bigint() - start) / topics.length);
  }
  if (found === 0) throw new Error('nothing matched');
  return best;
}

function measureTree(subscriptions: number, wildcards: boolean): void {
  const filters = Array.from({ length: subscriptions }, (_, i) => flat(filterOf(i, wildcards)));
  const values = Array.from({ length: subscriptions }, () => ({}));
  const before = heapBytes();
  const tree = new TopicTree<object>();
  for (const [i, filter] of filters.entries()) tree.add(filter, values[i]!);
  const bytes = (heapBytes() - before) / subscriptions;
  const ns = matchNs(tree, subscriptions);
  console.log(
    `${wildcards ? '10 % wild' : 'exact    '} ${String(subscriptions).padStart(9)} subscriptions: ` +
      `${bytes.toFixed(0)} B each, ${ns.toFixed(0)} ns per match`,
  );
  if (tree.size !== filters.length || values.length === 0) throw new Error('lost some');
}

function measureIndex(): void {
  const topics = Array.from({ length: 100_000 }, (_, i) => flat(topicOf(i)));
  const before = heapBytes();
  const index = new TopicIndex();
  for (const topic of topics) index.add(topic);
  const bytes = (heapBytes() - before) / topics.length;
  let found = 0;
  const start = process.hrtime.bigint();
  index.search(new FilterSet(['site/5/#']), '', topics.length, () => {
    found++;
    return true;
  });
  const ns = Number(process.hrtime.bigint() - start) / found;
  console.log(`topic index: ${bytes.toFixed(0)} B per topic, ${ns.toFixed(0)} ns per topic found`);
  if (index.size !== topics.length) throw new Error('lost some');
}

// Each measurement has a process of its own: what one leaves behind would be the next one's gain.
const [what, size] = process.argv.slice(2);
if (what === undefined) {
  console.log(
    `${cpus()[0]?.model}, Node ${process.version}; bytes without the filter's own string`,
  );
  for (const name of ['exact', 'wild']) {
    for (const n of ['10000', '100000', '1000000']) again(name, n);
  }
  again('index', '');
} else if (what === 'index') measureIndex();
else measureTree(Number(size), what === 'wild');

function again(...args: string[]): void {
  const script = fileURLToPath(import.meta.url);
  const options = { stdio: 'inherit' as const };
  execFileSync(process.execPath, ['--conditions=shoal-source', script, ...args], options);
}
