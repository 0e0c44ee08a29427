import assert from 'node:assert/strict';
import type { MemberInfo } from '../../ports.ts';
import { copyId } from '../../shard/view.ts';
import type { Connection } from '../client/connection.ts';
import { Draining } from './draining.ts';
import { Membership } from './membership.ts';

function member(name: string, o: Partial<MemberInfo> = {}, leaving = false): MemberInfo {
  const mqtt = `${name}:1883`;
  const meta = { storeId: 's', zone: '', host: name, weight: 1, mqtt, admin: '', leaving };
  const address = `${name}:1`;
  return { name, bootEpoch: 1, state: 'alive', unwell: false, address, meta, ...o };
}

/** A node n1 with as many open connections, and one that has not sent CONNECT. */
function node(open: number, leaving: boolean, ...others: MemberInfo[]) {
  const membership = new Membership(copyId('n1', 's'), 1, { replicas: 3 }, 1000);
  membership.update([member('n1', {}, leaving), ...others], 1, 0);
  const connections = new Map<number, Connection>();
  const told: number[] = [];
  for (let id = 0; id <= open; id++)
    connections.set(id, {
      isOpen: id > 0,
      shutdown: (reasonCode: number) => {
        told.push(reasonCode);
        connections.delete(id);
      },
    } as Connection);
  return {
    told,
    draining: new Draining({
      name: 'n1',
      membership,
      connections,
      timings: { willNodeGraceMs: 0 },
    }),
  };
}

describe('Draining', () => {
  it('leaves clients alone while the node stays', () => {
    const { draining, told } = node(3, false, member('n2'));
    for (let nowMs = 0; nowMs < 1000; nowMs += 20) draining.tick(nowMs);
    assert.deepEqual(told, []);
    assert.equal(draining.leaving, false);
    assert.equal(draining.done, false);
  });

  it('sends 500 clients a second elsewhere, until only those without a session are left', () => {
    const { draining, told } = node(1200, true, member('n2'));
    const after: number[] = [];
    for (let nowMs = 0; nowMs <= 3000; nowMs += 20) {
      draining.tick(nowMs);
      if (nowMs % 1000 === 0) after.push(told.length);
    }
    assert.ok(after[0]! <= 50, `${after}`);
    assert.ok(after[1]! >= 500 && after[1]! <= 550, `${after}`);
    assert.ok(after[2]! >= 1000 && after[2]! <= 1050, `${after}`);
    assert.equal(after[3], 1200);
    assert.ok(told.every((reasonCode) => reasonCode === 0x9d));
    assert.ok(draining.done);
  });

  it('makes up for no more than a tenth of a second when it was held up', () => {
    const { draining, told } = node(200, true, member('n2'));
    draining.tick(0);
    const before = told.length;
    draining.tick(60_000);
    assert.ok(told.length - before <= 51, `${told.length - before}`);
  });

  it('names the other nodes that serve, another one first each time', () => {
    const unserving = member('n5');
    const { draining } = node(
      0,
      true,
      member('n2'),
      member('n3', { state: 'faulty' }),
      member('n4', {}, true),
      { ...unserving, meta: { ...unserving.meta, mqtt: '' } },
      member('n6'),
    );
    assert.equal(draining.serverReference(), 'n2:1883 n6:1883');
    assert.equal(draining.serverReference(), 'n6:1883 n2:1883');
    assert.equal(draining.serverReference(), 'n2:1883 n6:1883');
    assert.equal(node(0, true).draining.serverReference(), '');
  });

  it('names at most eight', () => {
    const many = Array.from({ length: 20 }, (_, n) => member(`m${n}`));
    assert.equal(
      node(0, true, ...many)
        .draining.serverReference()
        .split(' ').length,
      8,
    );
  });
});
