import assert from 'node:assert/strict';
import ts from 'typescript';
import { type SourceFile, typeScript } from './files.ts';

/** Members that a library or the language calls. */
const CALLED_BY_OTHERS = new Set(['baseFlags', 'enableJsonFlag', 'logJson', 'toJSON']);

/** A member of a class, by its name alone, and where it is declared. */
interface Member {
  readonly name: string;
  readonly place: string;
}

/**
 * Members of classes whose names stand nowhere but in declarations: knip sees exports and no members. A name
 * that another class uses hides one that is not used.
 */
function idleMembers(files: readonly SourceFile[]): string[] {
  const members: Member[] = [];
  const used = new Set<string>();
  for (const { path, text } of files) {
    const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
    const visit = (node: ts.Node): void => {
      if (ts.isIdentifier(node) || ts.isPrivateIdentifier(node) || ts.isStringLiteralLike(node)) {
        if (isMember(node)) members.push({ name: node.text, place: path });
        else if (!isSignature(node)) used.add(node.text);
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return members
    .filter(({ name }) => !used.has(name) && !CALLED_BY_OTHERS.has(name))
    .map(({ name, place }) => `${place}: ${name}`);
}

function isMember(node: ts.Node): boolean {
  const { parent } = node;
  const isKind =
    ts.isMethodDeclaration(parent) || ts.isPropertyDeclaration(parent) || ts.isAccessor(parent);
  return isKind && parent.name === node && ts.isClassLike(parent.parent);
}

function isSignature(node: ts.Node): boolean {
  const { parent } = node;
  const isKind = ts.isMethodSignature(parent) || ts.isPropertySignature(parent);
  return isKind && parent.name === node;
}

describe('house style: members of classes', function () {
  // It parses every source file.
  this.timeout(30_000);

  it('has none that nothing calls, tests included', () => {
    assert.deepEqual(idleMembers(typeScript()), []);
  });

  it('sees one that nothing calls, and none that is called', () => {
    const text = 'class A { idle(): void {} #busy = 1; get busy(): number { return this.#busy; } }';
    const files = [
      { path: 'a.ts', text },
      { path: 'b.ts', text: 'console.log(a.busy);' },
    ];
    assert.deepEqual(idleMembers(files), ['a.ts: idle']);
  });
});
