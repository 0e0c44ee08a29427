/**
 * docs/LIMITS.md from the source: every key of `limits`, and every constant that is a bound.
 *
 * A bound is a constant named `…_MAX` (a unit may follow). The sentence above it, or above its group,
 * says what it bounds and what happens beyond; one without a sentence is an error, so that no bound is silent.
 */
import { globSync, readFileSync } from 'node:fs';
import { configSections } from '../../packages/broker/src/config-schema.ts';

export interface Bound {
  readonly name: string;
  readonly value: number;
  /** Path from the root of the repository. */
  readonly path: string;
  readonly sentence: string;
}

/** A document comment or line comments, then the constant with a value of plain arithmetic. */
const CONSTANT = /^(?:export )?const ([A-Z][A-Z0-9_]*_MAX(?:_[A-Z]+)?) = ([\d_a-fx*+\- ()]+);/;

/** The bounds that one source file names. */
export function boundsOf(path: string, text: string): Bound[] {
  const lines = text.split('\n');
  const bounds: Bound[] = [];
  lines.forEach((line, index) => {
    const [, name, expression] = CONSTANT.exec(line) ?? [];
    if (name === undefined || expression === undefined) return;
    bounds.push({ name, value: product(expression), path, sentence: commentAbove(lines, index) });
  });
  return bounds;
}

/** `64 * 1024 * 1024`, `5 + 268_435_455`, `0xffff`: sums of products of plain numbers. */
function product(expression: string): number {
  const terms = expression.replace(/[_() ]/g, '').split('+');
  return terms.reduce(
    (sum, term) => sum + term.split('*').reduce((value, factor) => value * Number(factor), 1),
    0,
  );
}

/** Constants without a line between them share the comment above the first. */
function commentAbove(lines: readonly string[], index: number): string {
  const words: string[] = [];
  let at = index - 1;
  while (/^(export )?const [A-Z]/.test(lines[at] ?? '')) at -= 1;
  const block = lines[at]?.trimEnd().endsWith('*/') ?? false;
  while (at >= 0) {
    const line = lines[at] ?? '';
    if (!block && !/^\s*\/\//.test(line)) break;
    words.unshift(line.replace(/^\s*(\/\*\*?|\*\/|\*|\/\/)?\s?|\s*\*\/\s*$/g, '').trim());
    if (block && line.includes('/*')) break;
    at -= 1;
  }
  return words
    .join(' ')
    .replace(/\{@link (\S+)\}/g, '`$1`')
    .trim();
}

/** Bounds of the packages that run in production, in the order of their files. */
export function allBounds(): Bound[] {
  return globSync('packages/{swim,broker}/src/**/*.ts')
    .filter((path) => !path.endsWith('.test.ts') && !path.includes('/src/sim/'))
    .sort()
    .flatMap((path) => boundsOf(path, readFileSync(path, 'utf8')));
}

const number = (value: number) => value.toLocaleString('en-US');
const cell = (text: string) => text.replaceAll('|', '\\|');

export function limitsDocument(): string {
  const limits = configSections().find((section) => section.name === 'limits');
  const settings = (limits?.keys ?? []).map(
    (key) => `| \`${key.key}\` | ${number(Number(key.default))} | ${cell(key.description)} |`,
  );
  const constants = allBounds().map(({ name, value, path, sentence }) => {
    const file = path.replace(/^packages\//, '').replace('/src/', '/');
    return `| \`${name}\` | ${number(value)} | ${file} | ${cell(sentence)} |`;
  });
  return `# Limits

Printed by \`node --conditions=shoal-source scripts/limits/main.ts\`; do not edit.

Everything that could grow has a bound: a queue, a buffer, a table, a message, a wait. What goes
beyond it is refused, dropped or put off as the bound says, and counted ([METRICS](METRICS.md)).
Times are bounds too; those that can be set are in [CONFIGURATION](CONFIGURATION.md#timings).

## Settings

Per node unless it says otherwise; ranges, flags and variables are in
[CONFIGURATION](CONFIGURATION.md#limits).

| key | default | what it bounds |
|---|--:|---|
${settings.join('\n')}

## Constants

These cannot be set: they belong to a format or protect a node from its peers.

| constant | value | file | what it bounds |
|---|--:|---|---|
${constants.join('\n')}
`;
}
