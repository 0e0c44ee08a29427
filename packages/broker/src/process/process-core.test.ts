import assert from 'node:assert/strict';
import type { SwimMember } from '@shoal/swim';
import { META } from '../../test/samples.ts';
import { BrokerError } from '../errors.ts';
import { ReasonCode } from '../mqtt/reason-code.ts';
import { decodeMeta, encodeMeta } from './member-meta.ts';
import { CALM_TICK_MS, ProcessCore, TICK_MS } from './process-core.ts';
import type { ProcessHost, ProcessMembership, ProcessNode } from './process-port.ts';

const meta = { ...META, zone: 'z', host: 'h' };

/** A process core between parts that write down what it asks of them, in order. */
class Bench {
  readonly calls: string[] = [];
  nowMs = 0;
  diskUnderWayMs = 0;
  drained = false;
  ready = false;
  calm = false;
  unanswered = 0;
  canHandOver = false;
  viewNumber = 1;
  joined = true;
  readonly process: ProcessCore;
  #left: () => void = () => {};

  constructor() {
    const options = { name: 'n1', meta, told: [], unwellAfterMs: 1000, stopTimeoutMs: 2000 };
    this.process = new ProcessCore(options, this.#core(), this.#host());
  }

  /** What was asked since the last call. */
  take(): string[] {
    return this.calls.splice(0);
  }

  tickAt(nowMs: number): string[] {
    this.nowMs = nowMs;
    this.process.tick();
    return this.take();
  }

  left(): string[] {
    this.#left();
    return this.take();
  }

  #core(): ProcessNode {
    const bench = this;
    return {
      get ready() {
        return bench.ready;
      },
      get unanswered() {
        return bench.unanswered;
      },
      get canHandOver() {
        return bench.canHandOver;
      },
      get calm() {
        return { now: bench.calm };
      },
      links: { onMembers: (members) => bench.calls.push(`members ${members.map((m) => m.name)}`) },
      peers: { sayStopped: () => bench.calls.push('say stopped') },
      tick: () => {},
      flush: () => bench.calls.push('flush'),
      disconnectAll: (reasonCode) => bench.calls.push(`disconnect ${reasonCode}`),
      handOverAll: () => bench.calls.push('hand over'),
      hasStopped: () => false,
    };
  }

  #host(): ProcessHost {
    const member = (name: string): SwimMember => ({
      ...{ name, bootEpoch: 1, incarnation: 0, state: 'alive', address: `${name}:1` },
      ...{ meta: encodeMeta(meta), unwell: false },
    });
    const membership: ProcessMembership = {
      members: () => [member('n1'), member('n2')],
      stableView: () => ({ number: this.viewNumber, names: ['n1', 'n2'] }),
      setMeta: (bytes) => {
        const said = decodeMeta(bytes);
        this.calls.push(`says mqtt '${said?.mqtt}' leaving ${said?.leaving}`);
      },
      setUnwell: (unwell) => this.calls.push(`unwell ${unwell}`),
      leave: (done) => {
        this.calls.push('leave membership');
        this.#left = done;
      },
    };
    return {
      nowMs: () => this.nowMs,
      log: () => {},
      membership: () => (this.joined ? membership : null),
      setPeers: (peers) => this.calls.push(`peers ${peers.map(({ name }) => name)}`),
      diskUnderWayMs: () => this.diskUnderWayMs,
      drained: () => this.drained,
      serve: () => 'n1:1883',
      close: (how) => this.calls.push(`close ${how}`),
      fatal: ({ code }) => this.calls.push(`fatal ${code}`),
    };
  }
}

const TOLD = ['members n1,n2', 'peers n2'];

describe('the process core', () => {
  it('tells core and links of the members, and of a view once', () => {
    const bench = new Bench();
    bench.process.onMembers();
    assert.deepEqual(bench.take(), TOLD);
    bench.process.onStableView(1);
    assert.deepEqual(bench.take(), []);
    bench.viewNumber = 2;
    bench.process.onStableView(2);
    assert.deepEqual(bench.take(), TOLD);
  });

  it('keeps for its start what it is to say of itself before it takes part in membership', () => {
    const bench = new Bench();
    bench.joined = false;
    bench.process.setMeta({ admin: 'n1:7780' });
    assert.deepEqual(bench.take(), []);
    assert.equal(bench.process.meta.admin, 'n1:7780');
  });

  it('serves clients once, when the core is ready, and says where', () => {
    const bench = new Bench();
    assert.deepEqual(bench.tickAt(20), []);
    bench.ready = true;
    assert.deepEqual(bench.tickAt(40), ["says mqtt 'n1:1883' leaving false", ...TOLD]);
    assert.deepEqual(bench.tickAt(60), []);
  });

  it('is unwell and without links while a write to the disk hangs', () => {
    const bench = new Bench();
    bench.diskUnderWayMs = 1000;
    assert.deepEqual(bench.tickAt(20), []);
    bench.diskUnderWayMs = 1001;
    assert.deepEqual(bench.tickAt(40), ['unwell true', 'members n1,n2', 'peers ']);
    bench.diskUnderWayMs = 0;
    assert.deepEqual(bench.tickAt(60), ['unwell false', ...TOLD]);
  });

  it('drains when it is removed, leaves membership when nothing needs it, then closes', () => {
    const bench = new Bench();
    bench.process.leave();
    assert.deepEqual(bench.take(), ["says mqtt '' leaving true", ...TOLD]);
    bench.process.leave();
    assert.deepEqual(bench.take(), []);
    bench.drained = true;
    for (const nowMs of [200, 400, 600, 800]) assert.deepEqual(bench.tickAt(nowMs), []);
    const { ServerMoved } = ReasonCode;
    assert.deepEqual(bench.tickAt(1000), [`disconnect ${ServerMoved}`, 'leave membership']);
    assert.deepEqual(bench.left(), ['close left']);
  });

  it('stops: clients told, answers awaited, leadership handed over, peers told, closed', () => {
    const bench = new Bench();
    bench.unanswered = 1;
    bench.canHandOver = true;
    bench.process.stop();
    assert.deepEqual(bench.take(), [`disconnect ${ReasonCode.ServerShuttingDown}`]);
    assert.deepEqual(bench.tickAt(20), []);
    bench.unanswered = 0;
    assert.deepEqual(bench.tickAt(40), ['hand over']);
    bench.process.stop();
    assert.deepEqual(bench.tickAt(60), []);
    bench.canHandOver = false;
    assert.deepEqual(bench.tickAt(80), ['say stopped', 'flush', 'close stopped']);
    assert.deepEqual(bench.tickAt(100), []);
  });

  it('stops within its time, half of it for answers and half for handing over', () => {
    const bench = new Bench();
    bench.unanswered = 1;
    bench.canHandOver = true;
    bench.process.stop();
    bench.take();
    assert.deepEqual(bench.tickAt(999), []);
    assert.deepEqual(bench.tickAt(1000), ['hand over']);
    assert.deepEqual(bench.tickAt(1999), []);
    assert.deepEqual(bench.tickAt(2000), ['say stopped', 'flush', 'close stopped']);
  });

  it('leaves membership first when its cluster refused it, and ends at once otherwise', () => {
    const bench = new Bench();
    bench.process.fatal(new BrokerError('BROKER_ERR_CORRUPT_RECORD', ''));
    assert.deepEqual(bench.take(), ['fatal BROKER_ERR_CORRUPT_RECORD']);
    bench.process.fatal(new BrokerError('BROKER_ERR_JOIN_SETTINGS', ''));
    assert.deepEqual(bench.take(), ['leave membership']);
    assert.deepEqual(bench.left(), ['fatal BROKER_ERR_JOIN_SETTINGS']);
  });

  it('is to be looked at less often while its node is calm, unless it ends', () => {
    const bench = new Bench();
    assert.equal(bench.process.pauseMs, TICK_MS);
    bench.calm = true;
    assert.equal(bench.process.pauseMs, CALM_TICK_MS);
    bench.unanswered = 1;
    bench.process.stop();
    assert.equal(bench.process.pauseMs, TICK_MS);
  });

  it('tells the core nothing once it closes', () => {
    const bench = new Bench();
    bench.process.close();
    bench.process.onMembers();
    assert.deepEqual(bench.take(), []);
  });
});
