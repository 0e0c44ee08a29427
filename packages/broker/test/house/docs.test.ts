import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { BROKER_ERRORS } from '../../src/errors.ts';
import { isTest, markdown, read, root, typeScript } from './files.ts';

/** GitHub's anchor of a heading: lower case, punctuation gone, spaces as hyphens. */
function anchors(text: string): Set<string> {
  const headings = text.replace(/^```[\s\S]*?^```/gm, '').matchAll(/^#{1,6}\s+(.*)$/gm);
  return new Set(
    [...headings].map(([, title = '']) =>
      title
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replace(/\s/g, '-'),
    ),
  );
}

function brokenLinks(path: string, text: string): string[] {
  const broken: string[] = [];
  const prose = text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
  for (const [, target = ''] of prose.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)) {
    if (/^(https?|mailto):/.test(target)) continue;
    const [file = '', anchor] = target.split('#');
    const full = file === '' ? path : normalize(join(dirname(path), file));
    if (!existsSync(join(root, full))) broken.push(`${path}: ${target}`);
    else if (anchor !== undefined && full.endsWith('.md') && !anchors(read(full)).has(anchor)) {
      broken.push(`${path}: ${target} (no such heading)`);
    }
  }
  return broken;
}

describe('house style: documents', () => {
  const files = markdown();

  it('has no link into nowhere', () => {
    assert.deepEqual(
      files.flatMap(({ path, text }) => brokenLinks(path, text)),
      [],
    );
  });

  it('sees a broken link and a broken anchor', () => {
    assert.equal(brokenLinks('README.md', '[a](docs/missing.md) [b](#no-such-heading)').length, 2);
  });

  it('names only files that exist', () => {
    const named = /`((?:packages|docs|bench|models|docker|scripts|\.ci)\/[\w./-]+)`/g;
    const missing = files
      .filter(({ path }) => !path.startsWith('docs/adr/') && !path.endsWith('CHANGELOG.md'))
      .flatMap(({ path, text }) =>
        [...text.matchAll(named)]
          .map(([, name = '']) => name)
          .filter((name) => !/[*…<]|NNNN|DATE/.test(name) && !existsSync(join(root, name)))
          .map((name) => `${path}: ${name}`),
      );
    assert.deepEqual(missing, []);
  });

  const sources = typeScript().filter(({ path }) => !isTest(path));

  /** A function, method or getter of that name begins a line of the text. */
  const defines = (text: string, name: string): boolean =>
    new RegExp(
      `^(export |async )*function\\*? ${name}\\b|^  (async |get )?\\*?${name}\\(`,
      'm',
    ).test(text);

  it('traces decisions through functions that are where it says', () => {
    const text = read('docs/ARCHITECTURE.md');
    const traced = [...text.matchAll(/`([\w./-]+\.ts)`\s*\((`[^)]*)\)/g)];
    assert.ok(traced.length >= 12, `${traced.length} steps name file and function`);
    const missing = traced.flatMap(([, file = '', names = '']) =>
      [...names.matchAll(/`([#\w]+)`/g)]
        .map(([, name = '']) => name)
        .filter(
          (name) =>
            !sources.some((s) => `/${s.path}`.endsWith(`/${file}`) && defines(s.text, name)),
        )
        .map((name) => `${file}: ${name}`),
    );
    assert.deepEqual(missing, []);
  });

  it('traces calls through methods that classes have', () => {
    const [, diagram = ''] = /```\n( {2}B {2}[\s\S]*?)```/.exec(read('docs/ARCHITECTURE.md')) ?? [];
    const calls = [...diagram.matchAll(/\b([A-Z]\w+)\.(\w+)/g)];
    assert.ok(calls.length >= 15, `${calls.length} calls`);
    const missing = calls
      .filter(([, owner = '', name = '']) => {
        const home = sources.find((s) =>
          new RegExp(`^(export )?class ${owner}\\b`, 'm').test(s.text),
        );
        return home === undefined || !defines(home.text, name);
      })
      .map(([call]) => call);
    assert.deepEqual(missing, []);
  });

  it('documents every error code', () => {
    const text = read('docs/ERRORS.md');
    assert.deepEqual(
      Object.keys(BROKER_ERRORS).filter((code) => !text.includes(code)),
      [],
    );
  });

  it('numbers decision records once each, without gaps, and gives each its four parts', () => {
    const records = files
      .filter(({ path }) => /^docs\/adr\/\d{4}-/.test(path))
      .sort((a, b) => a.path.localeCompare(b.path));
    records.forEach(({ path, text }, index) => {
      assert.equal(Number(path.slice('docs/adr/'.length).slice(0, 4)), index + 1, path);
      for (const part of ['Context', 'Options', 'Decision', 'Consequences']) {
        assert.match(text, new RegExp(`^#+ ${part}`, 'm'), `${path}: ${part}`);
      }
    });
    assert.ok(records.length > 0);
  });
});
