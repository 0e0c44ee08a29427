import assert from 'node:assert/strict';
import fc from 'fast-check';
import { check, type Verdict, type ViolationKind } from '../src/chaos/checker.ts';
import { describeMessage, type HistoryEvent, type MessageId } from '../src/chaos/history.ts';
import { cleanHistory, type Step } from './clean-history.ts';

type Received = HistoryEvent & { type: 'received' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    op: fc.constantFrom<Step['op'][]>(
      ...(['publish', 'publish', 'ack', 'deliver', 'deliver'] as const),
      ...(['redeliver', 'hop', 'subscribe', 'unsubscribe'] as const),
    ),
    which: fc.nat(1_000),
  }),
  { minLength: 1, maxLength: 120 },
);

/** `sub-0` is subscribed to everything from the start, at QoS 2, in every clean history. */
function isFirstDelivery(event: HistoryEvent): event is Received {
  return event.type === 'received' && event.client === 'sub-0' && !event.dup;
}

function found(verdict: Verdict, kind: ViolationKind, message: MessageId): boolean {
  const name = describeMessage(message);
  return verdict.violations.some((v) => v.kind === kind && v.message === name);
}

function kinds(verdict: Verdict): string[] {
  return Object.entries(verdict.counts)
    .filter(([, n]) => n > 0)
    .map(([kind]) => kind);
}

/** A history by hand: one publisher, one subscriber to `t` at QoS 2. */
function script(...rest: HistoryEvent[]): HistoryEvent[] {
  const [cleanStart, sessionPresent, node] = [false, false, 'n1'];
  const client = 'sub';
  return [
    { type: 'connect-sent', client, node, cleanStart },
    { type: 'connected', client, node, cleanStart, sessionPresent },
    { type: 'subscribe-sent', client, filter: 't', qos: 2 },
    { type: 'subscribed', client, filter: 't', granted: 2 },
    ...rest,
  ];
}
const m = (seq: number, qos: 1 | 2 = 2): MessageId => ({ publisher: 'pub', topic: 't', qos, seq });
const sent = (message: MessageId): HistoryEvent => {
  return { type: 'publish-sent', client: 'pub', message, packetId: message.seq + 1, dup: false };
};
const acked = (message: MessageId): HistoryEvent => {
  return { type: 'publish-acked', client: 'pub', message, reasonCode: 0 };
};
const got = (message: MessageId, more: Partial<Received> = {}): HistoryEvent => {
  const how = { qos: message.qos, dup: false, retain: false, packetId: message.seq + 1 };
  return { type: 'received', client: 'sub', message, ...how, isNew: true, ...more };
};

describe('chaos checker', () => {
  it('passes whatever a faultless broker does', () => {
    fc.assert(
      fc.property(steps, (plan) => {
        const verdict = check(cleanHistory(plan));
        assert.deepEqual(kinds(verdict), []);
        assert.equal(verdict.ok, true);
      }),
      { numRuns: 300 },
    );
  });

  it('finds any one acknowledged message that was not delivered', () => {
    fc.assert(
      fc.property(steps, fc.nat(), (plan, where) => {
        const events = cleanHistory([{ op: 'publish', which: 0 }, ...plan]);
        const deliveries = events.filter(isFirstDelivery);
        const victim = deliveries[where % deliveries.length] as Received;
        const name = describeMessage(victim.message);
        const without = events.filter(
          (e) =>
            !(e.type === 'received' && e.client === 'sub-0') || describeMessage(e.message) !== name,
        );
        const kind = victim.message.qos === 1 ? 'lost-qos1' : 'lost-qos2';
        const verdict = check(without);
        assert.deepEqual(kinds(verdict), [kind]);
        assert.ok(found(verdict, kind, victim.message));
      }),
    );
  });

  it('finds any QoS 2 message that is taken as new a second time', () => {
    fc.assert(
      fc.property(steps, fc.nat(), fc.nat(), fc.boolean(), (plan, which, later, dup) => {
        const events = cleanHistory([{ op: 'publish', which: 2 }, ...plan]);
        const deliveries = events.filter(isFirstDelivery).filter((e) => e.qos === 2);
        const victim = deliveries[which % deliveries.length] as Received;
        const at = events.indexOf(victim) + 1;
        const place = at + (later % (events.length - at + 1));
        // The DUP flag excuses nothing: what counts is that the packet identifier was free.
        const planted = events.toSpliced(place, 0, { ...victim, packetId: 60_000, dup });
        const verdict = check(planted);
        assert.deepEqual(kinds(verdict), ['duplicate-qos2']);
        assert.ok(found(verdict, 'duplicate-qos2', victim.message));
      }),
    );
  });

  it('finds any message overtaken by the next of the same publisher, topic and QoS', () => {
    fc.assert(
      fc.property(steps, fc.nat(), (plan, which) => {
        const publishes: Step[] = [
          { op: 'publish', which: 0 },
          { op: 'publish', which: 0 },
        ];
        const events = cleanHistory([...publishes, ...plan]).filter(
          (e) => !(e.type === 'received' && e.dup),
        );
        const pairs = lanePairs(events);
        const [first, second] = pairs[which % pairs.length] as [number, number];
        const victim = events[first] as Received;
        // The earlier one overtaken: delivered right after the one that follows it.
        const verdict = check(events.toSpliced(second + 1, 0, victim).toSpliced(first, 1));
        assert.deepEqual(kinds(verdict), ['order']);
        assert.ok(found(verdict, 'order', victim.message));
      }),
    );
  });

  it('finds any resumed session that is said not to exist', () => {
    fc.assert(
      fc.property(steps, fc.nat(), (plan, which) => {
        const events = cleanHistory([...plan, { op: 'hop', which: 0 }]);
        const resumes = events.flatMap((e, i) =>
          e.type === 'connected' && e.sessionPresent ? [i] : [],
        );
        const at = resumes[which % resumes.length] as number;
        const event = events[at] as HistoryEvent & { type: 'connected' };
        const verdict = check(events.with(at, { ...event, sessionPresent: false }));
        assert.equal(verdict.counts['session-lost'], 1);
        assert.equal(verdict.violations[0]?.client, event.client);
      }),
    );
  });

  it('does not call lost what was never acknowledged, or was refused', () => {
    const refused = {
      type: 'publish-refused',
      client: 'pub',
      message: m(1),
      reasonCode: 0x97,
    } as const;
    const verdict = check(script(sent(m(0)), sent(m(1)), refused));
    assert.equal(verdict.ok, true);
    assert.equal(verdict.figures.publishesRefused, 1);
  });

  it('owes nothing that was sent before SUBACK, nor acknowledged after UNSUBSCRIBE was sent', () => {
    const early = [sent(m(0)), ...script(acked(m(0)))];
    assert.equal(check(early).ok, true);
    const leaving = { type: 'unsubscribe-sent', client: 'sub', filter: 't' } as const;
    assert.equal(check(script(sent(m(0)), leaving, acked(m(0)))).ok, true);
    assert.equal(check(script(sent(m(0)), acked(m(0)), leaving)).counts['lost-qos2'], 1);
  });

  it('minds the order only of messages that were sent while the session was subscribed', () => {
    const [a, b] = [m(0, 1), m(1, 1)];
    const resent = { ...sent(a), dup: true } as HistoryEvent;
    // The first copy of `a` was sent before SUBACK and matched no subscription; the second one was for us.
    assert.equal(check([sent(a), ...script(sent(b), got(b), resent, got(a))]).ok, true);
    const late = script(sent(a), sent(b), got(b), resent, got(a));
    assert.deepEqual(kinds(check(late)), ['order']);
  });

  it('counts a loss even if the session was lost with it', () => {
    const back: HistoryEvent[] = [
      { type: 'connect-sent', client: 'sub', node: 'n2', cleanStart: false },
      { type: 'connected', client: 'sub', node: 'n2', cleanStart: false, sessionPresent: false },
    ];
    const verdict = check(script(sent(m(0, 1)), acked(m(0, 1)), ...back));
    assert.deepEqual(kinds(verdict), ['lost-qos1', 'session-lost']);
  });

  it('lets a clean start end what the session was owed, and refuses session present after it', () => {
    const clean = (sessionPresent: boolean): HistoryEvent[] => [
      { type: 'connect-sent', client: 'sub', node: 'n1', cleanStart: true },
      { type: 'connected', client: 'sub', node: 'n1', cleanStart: true, sessionPresent },
    ];
    const owed = [sent(m(0)), acked(m(0))];
    assert.equal(check(script(...owed, ...clean(false))).ok, true);
    assert.deepEqual(kinds(check(script(...owed, ...clean(true)))), ['session-unexpected']);
  });

  it('accepts either answer after a CONNECT that was never answered', () => {
    for (const sessionPresent of [true, false]) {
      const verdict = check([
        { type: 'connect-sent', client: 'c', node: 'n1', cleanStart: false },
        { type: 'connect-sent', client: 'c', node: 'n2', cleanStart: false },
        { type: 'connected', client: 'c', node: 'n2', cleanStart: false, sessionPresent },
      ]);
      assert.equal(verdict.ok, true);
    }
  });

  it('allows a resent QoS 2 packet while its identifier is held, but not for another message', () => {
    const events = [sent(m(0)), acked(m(0)), sent(m(1)), acked(m(1)), got(m(0))];
    const resent = got(m(0), { dup: true, isNew: false });
    assert.equal(check(script(...events, resent, got(m(1)))).ok, true);
    const reused = got(m(1), { packetId: 1, isNew: false });
    assert.deepEqual(kinds(check(script(...events, reused))), ['lost-qos2', 'packet-id-reuse']);
  });

  it('allows repeats at QoS 1 and counts them', () => {
    const verdict = check(script(sent(m(0, 1)), acked(m(0, 1)), got(m(0, 1)), got(m(0, 1))));
    assert.equal(verdict.ok, true);
    assert.equal(verdict.figures.repeatsQos1, 1);
  });

  it('finds deliveries of what was never published or subscribed, and above the granted QoS', () => {
    assert.deepEqual(kinds(check(script(got(m(0))))), ['phantom']);
    const elsewhere: MessageId = { publisher: 'pub', topic: 'other', qos: 1, seq: 0 };
    assert.deepEqual(kinds(check(script(sent(elsewhere), got(elsewhere)))), ['phantom']);
    assert.deepEqual(kinds(check(script(sent(m(0, 1)), got(m(0, 1), { qos: 2 })))), ['qos-raised']);
  });
});

/** Index pairs of neighbouring deliveries to `sub-0` within one publisher, topic and QoS. */
function lanePairs(events: readonly HistoryEvent[]): [number, number][] {
  const last = new Map<string, number>();
  const pairs: [number, number][] = [];
  events.forEach((event, i) => {
    if (!isFirstDelivery(event)) return;
    const lane = `${event.message.publisher}|${event.message.topic}|${event.message.qos}`;
    const previous = last.get(lane);
    if (previous !== undefined) pairs.push([previous, i]);
    last.set(lane, i);
  });
  return pairs;
}
