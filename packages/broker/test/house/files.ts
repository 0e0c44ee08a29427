/** The files of the repository, as the house rules read them. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../../../..');

export interface SourceFile {
  /** Path from the root of the repository, with slashes. */
  readonly path: string;
  readonly text: string;
}

const NOT_OURS = new Set(['node_modules', 'dist', '.git', '.nx', 'results']);

function find(pattern: string): string[] {
  const options = {
    cwd: root,
    exclude: (path: string) => path.split('/').some((part) => NOT_OURS.has(part)),
  };
  return globSync(pattern, options).filter((path) => !path.startsWith('docs/api/'));
}

export function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

function load(patterns: readonly string[]): SourceFile[] {
  const paths = [...new Set(patterns.flatMap(find))].sort();
  return paths.map((path) => ({ path, text: read(path) }));
}

/** All TypeScript of the project, tests included. */
export function typeScript(): SourceFile[] {
  return load(['{packages,bench,models,scripts,docker}/**/*.ts']);
}

/** All Markdown. */
export function markdown(): SourceFile[] {
  return load(['*.md', '{packages,bench,models,docs,docker,.changeset}/**/*.md']);
}

/** All text that people or programs read: code, documents, configuration. */
export function everything(): SourceFile[] {
  return load([
    '*.{md,json,mjs,ts,yaml,yml}',
    '.{npmrc,gitignore,mocharc.json,dependency-cruiser.mjs,dockerignore}',
    '{.ci,.changeset,packages,bench,models,scripts,docker,docs}/**/*.{ts,js,mjs,json,md,yaml,yml,pml,py,sh,txt,service,svg}',
    '{.ci/run,docker/Dockerfile,packages/cli/bin/shoal}',
  ]);
}

export function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.includes('/test/');
}

/** The code alone: comments gone, texts in quotes emptied, line numbers kept. */
export function codeOnly(text: string): string {
  const token =
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;
  return text.replace(token, (found) => {
    const lines = found.replace(/[^\n]/g, '');
    return found.startsWith('/') ? lines : `''${lines}`;
  });
}

/** `path:line` of every match of `pattern` in `text`. */
export function matches(path: string, text: string, pattern: RegExp): string[] {
  const found: string[] = [];
  text.split('\n').forEach((line, index) => {
    if (pattern.test(line)) found.push(`${path}:${index + 1}: ${line.trim().slice(0, 90)}`);
  });
  return found;
}
