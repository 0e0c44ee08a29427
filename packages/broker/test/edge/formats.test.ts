import assert from 'node:assert/strict';
import { itKeeps, type Pinned, pinned } from '../../../swim/test/fixture.ts';
import {
  decodeHello,
  encodeFrame,
  encodeHello,
  FrameReader,
  LINK_VERSION,
} from '../../src/edge/link/link-frame.ts';
import {
  decodeRunRecord,
  encodeRunRecord,
  type RunRecord,
} from '../../src/edge/store/run-record.ts';
import { BrokerError } from '../../src/errors.ts';
import { decodeMeta, encodeMeta } from '../../src/process/member-meta.ts';

const FIXTURES = new URL('../fixtures/v1/edge.hex', import.meta.url);

const hello = { version: LINK_VERSION, clusterId: 'c1', name: 'ü', bootEpoch: 1_700_000_000_001 };
const run: RunRecord = {
  storeId: 's1',
  bootEpoch: 1_700_000_000_001,
  machineBoot: 'b1',
  durability: 'memory',
  clean: true,
  damage: 'torn',
  pid: 7,
};
const meta = {
  storeId: 's1',
  zone: 'z',
  host: 'h',
  weight: 1.5,
  mqtt: 'h:1883',
  admin: 'h:7780',
  leaving: true,
};
const text = (value: string) => Buffer.from(value);

function frameOf(bytes: Uint8Array): unknown {
  const reader = new FrameReader(100);
  reader.push(Buffer.from(bytes));
  return reader.next();
}

const records: Record<string, Pinned> = {
  'HELLO of a link': pinned(hello, encodeHello, (bytes) => decodeHello(Buffer.from(bytes))),
  'frame of a link': pinned(
    Uint8Array.of(1, 2, 3),
    (frame) => Buffer.concat(encodeFrame(frame)),
    frameOf,
  ),
  'record of a run': pinned(
    run,
    (record) => text(encodeRunRecord(record)),
    (bytes) => decodeRunRecord(Buffer.from(bytes).toString(), 'run'),
  ),
  'metadata of a member': pinned(meta, encodeMeta, decodeMeta),
};

describe('formats at the edge, version 1', () => {
  itKeeps(FIXTURES, records);

  it('refuses by name: a HELLO of another version, of which only that is read', () => {
    const bytes = encodeHello(hello);
    bytes[0] = LINK_VERSION + 1;
    const { version, name } = decodeHello(bytes)!;
    assert.deepEqual([version, name], [LINK_VERSION + 1, '']);
  });

  it('refuses by name: the record of a run of a later version', () => {
    const later = encodeRunRecord(run).replace('"format":1', '"format":2');
    assert.throws(
      () => decodeRunRecord(later, 'data/run'),
      (e) =>
        e instanceof BrokerError &&
        e.code === 'BROKER_ERR_DATA_NEWER_FORMAT' &&
        e.message.includes('data/run: format 2'),
    );
  });

  it('takes metadata of another version for that of a stranger', () => {
    assert.equal(decodeMeta(text('[2,"s"]')), null);
  });
});
