/** What `shoal cluster status` says first: what waits, since when, why, and what to do about it. */

import type { ClusterStatus, Paused } from '@shoal/broker';
import { formatDuration } from './format.ts';

/** Lines for people; none where nothing waits and every member answers. */
export function pausedReport({ paused, silent }: ClusterStatus): string[] {
  const lines: string[] = [];
  // Nodes that wait for the same say so in the same words.
  for (const alike of Map.groupBy(paused, ({ message, remedy }) => message + remedy).values())
    lines.push(...told(alike));
  const named = new Set(paused.flatMap(({ missing }) => missing.map(({ name }) => name)));
  for (const { name, state } of silent) {
    if (named.has(name) || state === 'stopped') continue;
    const isThere = state === 'alive' || state === 'suspect';
    const remedy = isThere
      ? 'Check its host and the network to it; restart it if it hangs.'
      : `Start it again, or restart it if it hangs; if its machine is gone for good: shoal node remove ${name} --force.`;
    lines.push(`${name} (${state}) does not answer: what waits there is not known.`);
    lines.push(`  To do: ${remedy}`);
  }
  return lines;
}

function told(alike: readonly Paused[]): string[] {
  const first = alike.reduce((one, other) => (one.forMs >= other.forMs ? one : other));
  const nodes = alike.map(({ node }) => node).join(', ');
  const since = first.since.replace('T', ' ').replace(/\..*$/, ' UTC');
  return [
    `PAUSED at ${nodes} for ${formatDuration(first.forMs)}: ${first.message}`,
    `  To do: ${first.remedy}`,
    `  Since ${since}.`,
  ];
}
