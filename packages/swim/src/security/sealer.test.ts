import assert from 'node:assert/strict';
import { createDecipheriv, createHash, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { Keyring, keyId } from './keyring.ts';
import { SEAL_BYTES, type SealCounters, Sealer, type SealKind } from './sealer.ts';

const one = new Uint8Array(32).fill(1);
const two = new Uint8Array(32).fill(2);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const hello = text('hello');

function sealer(keys: readonly Uint8Array[] = [one], clusterId = 'demo', sendersMax = 16): Sealer {
  return new Sealer({ keyring: Keyring.of(keys), clusterId, sendersMax });
}

/** Opens, and says which counter moved: at most one. */
function outcome(at: Sealer, kind: SealKind, bytes: Uint8Array): string {
  const before: SealCounters = { ...at.counters };
  const opened = at.open(kind, bytes);
  const moved = Object.entries(at.counters).filter(
    ([name, count]) => count !== before[name as keyof SealCounters],
  );
  assert.equal(moved.length, opened === undefined ? 1 : 0);
  return moved[0]?.[0] ?? Buffer.from((opened as { bytes: Uint8Array }).bytes).toString();
}

describe('Sealer', () => {
  it('seals as PROTOCOL says, byte by byte', () => {
    const sealed = Buffer.from(sealer().seal('datagram', hello));
    assert.equal(sealed.length, hello.length + SEAL_BYTES);
    assert.deepEqual([...sealed.subarray(0, 2)], [0x45, 1]);
    const clusterHash = createHash('sha256').update('shoal swim cluster v1demo').digest();
    assert.deepEqual(sealed.subarray(2, 10), clusterHash.subarray(0, 8));
    assert.equal(sealed.toString('hex', 10, 14), keyId(one));
    const salt = sealed.subarray(14, 30);
    assert.equal(sealed.readUIntBE(30, 6), 1);
    const key = createHmac('sha256', one).update('shoal swim message key v1').update(salt).digest();
    const nonce = Buffer.concat([Buffer.alloc(6), sealed.subarray(30, 36)]);
    const decipher = createDecipheriv('aes-256-gcm', key, nonce);
    decipher.setAAD(Buffer.concat([sealed.subarray(0, 36), Buffer.of(0)]));
    decipher.setAuthTag(sealed.subarray(-16));
    const opened = Buffer.concat([decipher.update(sealed.subarray(36, -16)), decipher.final()]);
    assert.equal(opened.toString(), 'hello');
  });

  it('opens what another with the key sealed, in any size', () => {
    const from = sealer();
    const to = sealer();
    const sized = fc.uint8Array({ maxLength: 3_000 });
    fc.assert(
      fc.property(sized, fc.constantFrom<SealKind>('datagram', 'request'), (message, kind) => {
        const opened = to.open(kind, from.seal(kind, message));
        assert.deepEqual(Buffer.from(opened?.bytes ?? []), Buffer.from(message));
        assert.equal(opened?.sameCluster, true);
      }),
    );
    assert.equal(to.senderCount, 2);
  });

  it('never uses a key and a nonce twice, and gives each sealer keys of its own', () => {
    const seen = new Set<string>();
    for (const from of [sealer(), sealer()]) {
      for (const kind of ['datagram', 'request', 'response'] as const) {
        for (let n = 0; n < 10; n++) {
          seen.add(Buffer.from(from.seal(kind, hello).subarray(10, 36)).toString('hex'));
        }
      }
    }
    assert.equal(seen.size, 60);
  });

  it('opens what is for one receiver at that receiver only, though others pass it on', () => {
    const from = sealer();
    const [to, other] = [sealer(), sealer()];
    to.address = '10.0.0.1:7946';
    other.address = '10.0.0.2:7946';
    for (const kind of ['datagram', 'request'] as const) {
      const sealed = from.seal(kind, hello, undefined, to.address);
      assert.equal(sealed[1], 2);
      assert.equal(outcome(other, kind, sealed), 'sealForged');
      assert.equal(outcome(sealer(), kind, sealed), 'sealForged');
      // Nor does it become one for all.
      const loose = Uint8Array.from(sealed);
      loose[1] = 1;
      assert.equal(outcome(other, kind, loose), 'sealForged');
      assert.equal(outcome(to, kind, sealed), 'hello');
      assert.equal(outcome(other, kind, from.seal(kind, hello)), 'hello');
    }
    const widest = `${'h'.repeat(250)}:7946`.slice(-255);
    to.address = widest;
    assert.equal(outcome(to, 'datagram', from.seal('datagram', hello, undefined, widest)), 'hello');
  });

  it('takes new salts when its clock leaps: a copy of its machine goes on with others', () => {
    let wallMs = 1_000_000;
    const keyring = Keyring.of([one]);
    const options = { keyring, clusterId: 'demo', sendersMax: 16, wallMs: () => wallMs };
    const from = new Sealer({ ...options, origin: 'a 1' });
    const saltOf = () => Buffer.from(from.seal('datagram', hello).subarray(14, 30)).toString('hex');
    const salt = saltOf();
    wallMs += 5_000;
    assert.equal(saltOf(), salt);
    for (const leapMs of [3_600_000, -3_600_000]) {
      const before = saltOf();
      wallMs += leapMs;
      const sealed = from.seal('datagram', hello);
      assert.notEqual(Buffer.from(sealed.subarray(14, 30)).toString('hex'), before);
      assert.equal(outcome(sealer(), 'datagram', sealed), 'hello');
    }
  });

  it('refuses a message with any one byte changed, cut short, or longer', () => {
    const from = sealer();
    const to = sealer();
    const sealed = from.seal('datagram', hello);
    for (let at = 0; at < sealed.length; at++) {
      const changed = Uint8Array.from(sealed);
      changed[at] = (changed[at] as number) ^ 1;
      assert.match(outcome(to, 'datagram', changed), /^seal/, `byte ${at}`);
    }
    for (let length = 0; length < sealed.length; length++) {
      assert.match(outcome(to, 'datagram', sealed.subarray(0, length)), /^seal/);
    }
    assert.equal(outcome(to, 'datagram', Buffer.concat([sealed, Buffer.of(0)])), 'sealForged');
    assert.equal(to.senderCount, 0);
    assert.equal(outcome(to, 'datagram', sealed), 'hello');
  });

  it('refuses a message seen before, one too old, and takes those that overtook each other', () => {
    const from = sealer();
    const to = sealer();
    const sealed = Array.from({ length: 1_100 }, (_, n) => from.seal('datagram', text(`${n}`)));
    const send = (n: number) => outcome(to, 'datagram', sealed[n] as Uint8Array);
    assert.equal(send(1), '1');
    assert.equal(send(0), '0');
    assert.equal(send(1), 'sealReplayed');
    assert.equal(send(1_099), '1099');
    assert.equal(send(76), '76');
    assert.equal(send(75), 'sealReplayed');
    assert.equal(send(76), 'sealReplayed');
  });

  it('lets no forgery move the window', () => {
    const from = sealer();
    const to = sealer();
    const first = from.seal('datagram', hello);
    assert.equal(outcome(to, 'datagram', first), 'hello');
    const second = from.seal('datagram', hello);
    const ahead = Buffer.from(second);
    ahead.writeUIntBE(2 ** 47, 30, 6);
    assert.equal(outcome(to, 'datagram', ahead), 'sealForged');
    assert.equal(outcome(to, 'datagram', second), 'hello');
  });

  it('refuses an unknown key and another cluster before any cryptography', () => {
    const to = sealer();
    assert.equal(outcome(to, 'datagram', sealer([two]).seal('datagram', hello)), 'sealKeyUnknown');
    const other = sealer([one], 'other');
    assert.equal(outcome(to, 'datagram', other.seal('datagram', hello)), 'sealOtherCluster');
    assert.equal(outcome(to, 'datagram', text('hello')), 'sealMalformed');
  });

  it('hears joiners and other clusters with the same key on streams, and can tell', () => {
    const to = sealer();
    for (const clusterId of ['', 'other']) {
      const opened = to.open('request', sealer([one], clusterId).seal('request', hello));
      assert.equal(opened?.sameCluster, false);
    }
    const joiner = sealer([one], '');
    joiner.clusterId = 'demo';
    assert.equal(to.open('request', joiner.seal('request', hello))?.sameCluster, true);
  });

  it('opens a message as what it was sealed, and an answer as that of its request only', () => {
    const asker = sealer();
    const to = sealer();
    const request = asker.seal('request', text('first'));
    const other = asker.seal('request', text('second'));
    assert.equal(outcome(to, 'datagram', request), 'sealForged');
    assert.notEqual(to.open('request', request), undefined);
    const answer = to.seal('response', hello, request);
    assert.equal(asker.open('response', answer, other), undefined);
    assert.equal(asker.open('request', answer), undefined);
    assert.equal(asker.open('response', request, request), undefined);
    assert.equal(asker.counters.sealForged, 3);
    assert.deepEqual(
      Buffer.from(asker.open('response', answer, request)?.bytes ?? []),
      Buffer.from(hello),
    );
  });

  it('reads the old key while the new one comes into use', () => {
    const old = sealer([one]);
    const both = sealer([one, two]);
    const next = sealer([two]);
    assert.equal(outcome(both, 'datagram', next.seal('datagram', hello)), 'hello');
    assert.equal(outcome(both, 'datagram', old.seal('datagram', hello)), 'hello');
    const before = both.seal('datagram', hello);
    both.keyring = both.keyring.use(keyId(two));
    const after = both.seal('datagram', hello);
    assert.equal(outcome(old, 'datagram', before), 'hello');
    assert.equal(outcome(next, 'datagram', after), 'hello');
    assert.equal(outcome(old, 'datagram', after), 'sealKeyUnknown');
    both.keyring = both.keyring.remove(keyId(one));
    assert.equal(outcome(both, 'datagram', old.seal('datagram', hello)), 'sealKeyUnknown');
  });

  it('remembers as many senders as it may, the last ones heard', () => {
    const to = sealer([one], 'demo', 2);
    const senders = [sealer(), sealer(), sealer()];
    const sealed = senders.map((from) => from.seal('datagram', hello));
    for (const bytes of sealed) assert.equal(outcome(to, 'datagram', bytes), 'hello');
    assert.equal(to.senderCount, 2);
    assert.equal(outcome(to, 'datagram', sealed[2] as Uint8Array), 'sealReplayed');
    // Floods displace no sender.
    const noise = Buffer.from(sealed[2] as Uint8Array);
    for (let n = 0; n < 10; n++) {
      noise.writeUInt32BE(n, 14);
      assert.equal(outcome(to, 'datagram', noise), 'sealForged');
    }
    assert.equal(outcome(to, 'datagram', sealed[1] as Uint8Array), 'sealReplayed');
  });

  it('survives noise', () => {
    const to = sealer();
    const valid = sealer().seal('datagram', hello);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(36), (noise, keep) => {
        const bytes = Buffer.concat([valid.subarray(0, keep), noise]);
        if (Buffer.compare(bytes, valid) !== 0) assert.equal(to.open('datagram', bytes), undefined);
      }),
    );
    assert.equal(to.senderCount, 0);
  });
});
