import assert from 'node:assert/strict';
import fc from 'fast-check';
import { swimConfig } from '../config.ts';
import { about } from '../sim/core-bench.ts';
import { Prng } from '../sim/prng.ts';
import { decodeMessage, encodeMessage, encodeUpdate } from './codec.ts';
import type { SwimEffect } from './event.ts';
import type { Body } from './message.ts';
import { Swim } from './swim.ts';

type Sent = Extract<SwimEffect, { type: 'send' }>;

/** A core named `me` with fifty members, and news of all of them to tell. */
function talkative(): Swim {
  const prng = new Prng('answers');
  const swim = new Swim({
    config: swimConfig({ fallbackProbe: false }),
    name: 'me',
    bootEpoch: 10,
    clusterId: 'c',
    address: 'me:1',
    meta: new Uint8Array(100),
    random: () => prng.next(),
  });
  swim.step({ type: 'start', seeds: [] }, 0);
  const meta = new Uint8Array(100);
  const updates = Array.from({ length: 50 }, (_, n) => encodeUpdate(about(`m${n}`, { meta })));
  const header = { version: 1, clusterId: 'c', name: 'm0', bootEpoch: 1 };
  const bytes = encodeMessage(header, { type: 'gossip' }, updates);
  swim.step({ type: 'packet', from: 'm0:1', bytes }, 0);
  return swim;
}

/** What a datagram makes a core send, and how long it was itself. */
function answers(swim: Swim, name: string, body: Body, bootEpoch = 1): [Sent[], number] {
  const bytes = encodeMessage({ version: 1, clusterId: 'c', name, bootEpoch }, body, []);
  const effects = swim.step({ type: 'packet', from: 'victim:1', bytes }, 10);
  return [effects.filter((effect) => effect.type === 'send'), bytes.length];
}

const ping = (target: string): Body => ({
  type: 'ping',
  seq: 1,
  digest: 0,
  target,
  targetBootEpoch: 10,
  targetIncarnation: 0,
});

describe('answers to datagrams whose source may be forged', () => {
  it('go to a member at its own address, with gossip', () => {
    const [sent] = answers(talkative(), 'm7', ping('me'));
    assert.deepEqual(
      sent.map(({ to }) => to),
      ['m7:1'],
    );
    const message = decodeMessage((sent[0] as Sent).bytes);
    assert.ok(typeof message !== 'string' && message.updates.length > 5);
  });

  it('carry no gossip to a stranger, and are at most 256 bytes longer than the question', () => {
    const bodies: Body[] = [
      ping('me'),
      ping('somebody else'),
      { type: 'ping-req', seq: 1, remainingMs: 100, ...unknownTarget() },
    ];
    for (const body of bodies) {
      for (const [name, epoch] of [
        ['stranger', 1],
        ['m7', 2],
        ['m7', 0],
      ] as const) {
        const [sent, asked] = answers(talkative(), name, body, epoch);
        const toVictim = sent.filter(({ to }) => to === 'victim:1');
        assert.ok(toVictim.length <= 1);
        for (const { bytes } of toVictim) {
          assert.ok(bytes.length <= asked + 256, `${body.type}: ${bytes.length} for ${asked}`);
          const message = decodeMessage(bytes);
          assert.ok(typeof message !== 'string' && message.updates.length <= 1);
        }
      }
    }
  });

  it('are bounded whatever the names', () => {
    const name = fc.string({ minLength: 1, maxLength: 42 });
    fc.assert(
      fc.property(name, name, (from, target) => {
        fc.pre(from !== 'me');
        const [sent, asked] = answers(talkative(), from, ping(target));
        for (const { to, bytes } of sent) {
          if (to === 'victim:1') assert.ok(bytes.length <= asked + 256);
        }
      }),
      { numRuns: 50 },
    );
  });
});

function unknownTarget() {
  return { target: 'nobody', targetBootEpoch: 0, targetIncarnation: 0 };
}
