import assert from 'node:assert/strict';
import { Reader, Writer } from '../../bytes.ts';
import { ReasonCode } from '../../mqtt/reason-code.ts';
import { LinkMessage } from '../link/link-message.ts';
import { Wire } from '../link/wire.ts';
import type { Connection } from './connection.ts';
import { Connections } from './connections.ts';

/** Node n1 in its third run, with connection 5, and a link to n2 alone. */
function setUp() {
  const done: string[] = [];
  const out = new Writer();
  const connection = {
    clientId: 'c',
    isOpen: true,
    retained: null,
    disconnect: (reasonCode: number) => done.push(`disconnect ${reasonCode}`),
    shutdown: (reasonCode: number) => done.push(`shutdown ${reasonCode}`),
  } as unknown as Connection;
  const connections = new Connections({
    name: 'n1',
    bootEpoch: 3,
    clients: {
      connections: new Map([[5, connection]]),
      yields: (c, by) => {
        assert.equal(c, connection);
        done.push(`yields to ${by?.node}`);
      },
    },
    peers: { to: (name) => (name === 'n2' ? out : null) },
    onRetainedTaken: () => {},
    onGiven: (token, outcome) => done.push(`given ${token}: ${outcome}`),
    onFree: ({ connection, generation, room }) =>
      done.push(`free ${connection}: ${generation}, ${room}`),
  });
  return { connections, done, out };
}

const HERE = { node: 'n1', bootEpoch: 3, connection: 5 };
const THERE = { node: 'n2', bootEpoch: 8, connection: 2 };
const BY = { node: 'n3', connection: 1 };

describe('connections as the leaders of their sessions reach them', () => {
  it('end without a CLOSE at a takeover, and like any other when an administrator ends them', () => {
    const { connections, done } = setUp();
    connections.kick(HERE, ReasonCode.SessionTakenOver, BY);
    connections.kick(HERE, ReasonCode.AdministrativeAction, null);
    connections.kick(HERE, ReasonCode.SessionTakenOver, BY, true);
    assert.deepEqual(done, ['disconnect 142', 'shutdown 152', 'yields to n3']);
  });

  it('are not those that had the same number in an earlier run', () => {
    const { connections, done, out } = setUp();
    connections.kick({ ...HERE, bootEpoch: 2 }, ReasonCode.SessionTakenOver, BY);
    connections.kick({ ...HERE, connection: 6 }, ReasonCode.SessionTakenOver, BY);
    assert.equal(connections.pubrel({ ...HERE, bootEpoch: 2 }, 1), true);
    assert.deepEqual(done, []);
    assert.equal(out.length, 0);
  });

  it('are told over the link if they are elsewhere', () => {
    const { connections, done, out } = setUp();
    connections.kick(THERE, ReasonCode.SessionTakenOver, BY, true);
    assert.equal(connections.pubrel(THERE, 17), true);
    const r = new Reader(out.take());
    const to = { ...THERE, node: '' };
    assert.equal(r.u8(), Wire.Kick);
    const kick = { to, reasonCode: ReasonCode.SessionTakenOver, yields: true, by: BY };
    assert.deepEqual(LinkMessage.Kick.read(r), kick);
    assert.equal(r.u8(), Wire.Pubrel);
    assert.deepEqual(LinkMessage.Pubrel.read(r), { to, position: 17 });
    assert.ok(r.done);
    assert.deepEqual(done, []);
  });

  it('are reported as out of reach where there is no link', () => {
    const { connections } = setUp();
    assert.equal(connections.pubrel({ ...THERE, node: 'n4' }, 17), false);
  });

  it('get retained messages over the link if they are elsewhere', () => {
    const { connections, out } = setUp();
    const batch = { token: 4, items: [], last: true };
    connections.sendRetained(THERE, batch);
    const r = new Reader(out.take());
    assert.equal(r.u8(), Wire.RetainedZero);
    assert.deepEqual(LinkMessage.RetainedZero.read(r), { to: { ...THERE, node: '' }, batch });
  });
});
