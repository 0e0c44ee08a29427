import assert from 'node:assert/strict';
import { JoinWatch, type JoinWatchOptions } from './join-watch.ts';

function watch(change: Partial<JoinWatchOptions> = {}) {
  const lines: unknown[] = [];
  const watch = new JoinWatch({
    addresses: [],
    discovery: [],
    hasJoined: () => false,
    join: () => Promise.reject(new Error('refused')),
    whyUnreachable: async (address) => (address === 'd:4' ? 'nothing listens there' : ''),
    log: (level, message, fields) => lines.push([level, message, fields]),
    ...change,
  });
  watch.close();
  return { watch, lines };
}

describe('a node that waits to join', () => {
  it('names each address, and why it is of no help', async () => {
    const whys: Record<string, Error> = {
      'a:1': new Error('connection refused'),
      'b:2': new Error('belongs to another cluster'),
      'd:4': new Error('did not answer'),
    };
    const { watch: each, lines } = watch({
      addresses: ['a:1', 'b:2', 'c:3', 'd:4'],
      join: (address) => (whys[address] ? Promise.reject(whys[address]) : Promise.resolve()),
    });
    await each.tell();
    const tried = {
      'a:1': 'connection refused',
      'b:2': 'belongs to another cluster',
      'c:3': 'answers, but has no link yet',
      'd:4': 'nothing listens there',
    };
    assert.deepEqual(lines, [['warn', 'waits to join a cluster', { tried }]]);
  });

  it('names the ways by which it finds nobody', async () => {
    const { watch: each, lines } = watch({ discovery: ['dns:a:1', 'multicast:239.1.1.1:2'] });
    await each.tell();
    const discovery = 'no member found by dns:a:1, multicast:239.1.1.1:2';
    assert.deepEqual(lines, [['warn', 'waits to join a cluster', { discovery }]]);
  });

  it('says nothing once it has joined, nor of a round that it joined by', async () => {
    let joined = false;
    const { watch: each, lines } = watch({
      addresses: ['a:1'],
      hasJoined: () => joined,
      join: async () => {
        joined = true;
      },
    });
    await each.tell();
    await each.tell();
    assert.deepEqual(lines, []);
  });

  it('asks nobody again while an address keeps it waiting', async () => {
    let asked = 0;
    const answer = Promise.withResolvers<void>();
    const { watch: each, lines } = watch({
      addresses: ['a:1'],
      join: () => {
        asked++;
        return answer.promise;
      },
    });
    const first = each.tell();
    await each.tell();
    assert.equal(asked, 1);
    answer.reject(new Error('no answer in time'));
    await first;
    assert.equal(lines.length, 1);
  });
});
