/** A log of one shard, applied as it grows: for tests of what its entries mean. */
import { writeOperation } from '../../src/session/operation.js';
import { ShardState } from '../../src/session/shard-state.js';
import { encodeEntry } from '../../src/shard/log.js';
export const MESSAGE = {
  topic: 't',
  payload: Uint8Array.of(1),
  qos: 1,
  retain: false,
  hlc: 1,
  expiresAtMs: 0,
  properties: new Uint8Array(0),
  publisher: 'p',
};
export const WILL = {
  message: { ...MESSAGE, topic: 'will' },
  delaySeconds: 0,
  expirySeconds: -1,
};
export const REQUEST = {
  filter: 'f',
  qos: 1,
  noLocal: false,
  retainAsPublished: false,
  retainHandling: 2,
  identifier: 0,
};
/** A log of one shard, applied as it grows. */
export class Shard {
  state = new ShardState();
  index = 0;
  number = { counter: 3, leader: 'a#1', bootEpoch: 1 };
  /** Of the last entry. */
  freed = [];
  apply(op, origin = null, hlc = this.index + 1) {
    const index = ++this.index;
    const entry = encodeEntry(index, this.number, hlc, (w) => writeOperation(w, op, origin));
    this.state.apply(entry);
    this.freed = this.state.takeFreed();
    return index;
  }
  open(clientId, how = {}) {
    this.apply({
      type: 'open',
      clientId,
      cleanStart: false,
      hlc: this.index,
      expirySeconds: 60,
      gateway: 'n',
      gatewayEpoch: 1,
      connection: this.index + 1,
      version: 5,
      will: null,
      sentUpto: -1,
      ...how,
    });
    return this.state.sessions.get(clientId);
  }
  close(s, how = {}) {
    const { clientId, epoch } = s;
    const defaults = { abnormal: true, graceMs: 0, expirySeconds: -1, sentUpto: -1, elapsedMs: 0 };
    return this.apply({ type: 'close', clientId, epoch, ...defaults, ...how });
  }
  subscribe(s, ...requests) {
    const subscriptions = requests.map((r) => ({ ...REQUEST, ...r }));
    return this.apply({ type: 'sub', clientId: s.clientId, epoch: s.epoch, subscriptions });
  }
  unsubscribe(s, ...filters) {
    return this.apply({ type: 'unsub', clientId: s.clientId, epoch: s.epoch, filters });
  }
  enqueue(...sessions) {
    const targets = sessions.map(({ clientId, birth }) => {
      return { clientId, birth, qos: 1, retain: false, identifiers: [] };
    });
    return this.apply({ type: 'enq', rx2: null, message: MESSAGE, targets, retained: false });
  }
  ack(s, position, kind = 'ack') {
    const { clientId, epoch } = s;
    return this.apply({ type: 'ack', items: [{ clientId, epoch, kind, position }] });
  }
  retain(topic, payload = MESSAGE.payload, hlc = 0) {
    const message = { ...MESSAGE, topic, payload, hlc };
    return this.apply({ type: 'retain', rx2: null, message });
  }
  rx2(s, packetId) {
    const { clientId, epoch } = s;
    return this.apply({ type: 'rx2', clientId, epoch, packetId, message: MESSAGE });
  }
  /** The wills that fired: index of each, and of the OPEN that carried it. */
  get wills() {
    const fired = [...this.state.owed].filter(([, owed]) => owed.will);
    return fired.map(([index, { messageIndex }]) => [index, messageIndex]);
  }
}
//# sourceMappingURL=shard.js.map
