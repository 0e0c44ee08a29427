import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { SessionsAnswer } from '../../node/ask/question.ts';
import { mergePage } from './backend-sessions.ts';

function listed(clientId: string): SessionsAnswer['sessions'][number] {
  return { clientId, shard: 1, gateway: null, queued: 0, inflight: 0, subscriptions: 0 };
}

/** What a node answers that leads `names`, cutting its answer at `most` sessions. */
function answerOf(names: readonly string[], after: string, most: number): SessionsAnswer {
  const rest = names.filter((name) => name > after).sort((a, b) => (a < b ? -1 : 1));
  return { sessions: rest.slice(0, most).map(listed), complete: rest.length <= most };
}

describe('pages of sessions, merged from the nodes that lead them', function () {
  this.timeout(30_000);

  it('together are every session once, in order, wherever answers are cut', () => {
    const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 4, unit: 'binary' }), {
      maxLength: 40,
    });
    const node = fc.record({ share: fc.nat(2), most: fc.integer({ min: 1, max: 12 }) });
    fc.assert(
      fc.property(
        names,
        fc.array(node, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 12 }),
        (all, nodes, limit) => {
          const led = nodes.map((_, at) => all.filter((_name, i) => i % nodes.length === at));
          const seen: string[] = [];
          let after = '';
          for (let pages = 0; ; pages++) {
            assert.ok(pages <= all.length, 'every page but the last brings something new');
            const answers = nodes.map(({ most }, at) => ({
              leader: `n${at}`,
              answer: answerOf(led[at]!, after, Math.min(most, limit)),
            }));
            const page = mergePage(answers, limit);
            assert.ok(page.sessions.length <= limit);
            seen.push(...page.sessions.map(({ clientId }) => clientId));
            if (page.nextCursor === null) break;
            after = Buffer.from(page.nextCursor, 'base64url').toString();
          }
          assert.deepEqual(
            seen,
            [...all].sort((a, b) => (a < b ? -1 : 1)),
          );
        },
      ),
    );
  });

  it('names a session once that two nodes claim while its shard changes hands', () => {
    const answer = answerOf(['a'], '', 10);
    const page = mergePage(
      [
        { leader: 'n1', answer },
        { leader: 'n2', answer },
      ],
      10,
    );
    assert.equal(page.sessions.length, 1);
    assert.equal(page.nextCursor, null);
  });
});
