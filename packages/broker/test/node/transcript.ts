/**
 * What nodes and clients say to each other about one shard, as text: readable, and the same each time.
 *
 * ```
 *    20 ms  n3 → n1    request 2 after 1: ACK pubrec 1 of sam    a message arrives
 *           n1 → n3    reply to 2: Ok (lost)
 *           n3 → sam   PUBREL 1                                   a packet
 *    40 ms  n2         leads the shard by view 2@n2               what changed at n2
 * ```
 */
import type { Packet } from 'mqtt-packet';
import { Reader } from '../../src/bytes.ts';
import { Inbox } from '../../src/node/link/lanes.ts';
import { LinkMessage, type RequestNumber } from '../../src/node/link/link-message.ts';
import { type Reply, type Request, Status } from '../../src/node/link/request.ts';
import { Wire } from '../../src/node/link/wire.ts';
import type { NodeCore } from '../../src/node/node.ts';
import { type Operation, readOperation } from '../../src/session/operation.ts';
import type { Session } from '../../src/session/session.ts';
import { Timeline } from '../golden.ts';
import { messageText, numberText } from '../shard/transcript.ts';
import type { NodesWatcher, TestNodes, TestSocket } from './nodes.ts';

type Kind = keyof typeof Wire;

const KINDS = new Map(Object.entries(Wire).map(([kind, code]) => [code as number, kind as Kind]));
const REPLIES = new Map(Object.entries(Status).map(([name, code]) => [code as number, name]));

function operationText(op: Operation): string {
  switch (op.type) {
    case 'enq':
      return `ENQ ${op.message.topic} for ${op.recipients.map((r) => r.clientId).join(' and ')}`;
    case 'ack':
      return `ACK ${op.items.map((i) => `${i.kind} ${i.position} of ${i.clientId}`).join(', ')}`;
    case 'open':
      return `OPEN ${op.clientId} at ${op.gateway}`;
    case 'assign':
      return `ASSIGN ${op.clientId} below ${op.upto}`;
    default:
      return `${op.type.toUpperCase()}${'clientId' in op ? ` ${op.clientId}` : ''}`;
  }
}

const logged = (bytes: Uint8Array) => operationText(readOperation(new Reader(bytes)).operation);

function requestText(q: Request): string {
  if (q.type === 'publish') return `PUBLISH ${q.message.topic}`;
  if (q.type === 'attach' || q.type === 'delete') return `${q.type} ${q.clientId}`;
  if (q.type === 'group') return `GROUP ${q.message.topic} for ${q.groups.join(' and ')}`;
  if (q.type === 'give') return `GIVE ${q.message.topic} to ${q.clientId} of ${q.group}`;
  return operationText(q.type === 'insist' ? q.open : q);
}

function packetText(p: Packet): string {
  const name = p.cmd.toUpperCase();
  if (p.cmd === 'connack') return `${name}${p.sessionPresent ? ', session present' : ''}`;
  if (p.cmd !== 'publish') return 'messageId' in p ? `${name} ${p.messageId}` : name;
  return `${name} ${p.messageId} ${p.topic}, QoS ${p.qos}${p.dup ? ', DUP' : ''}`;
}

/** How a session stands at one copy of its shard. */
function sessionText(s: Session): string {
  const waiting = s.pending === 0 ? 'nothing' : `${s.pending} from position ${s.first}`;
  const pubrecs = s.pubrecs ? `, PUBREC of ${[...s.pubrecs].join(' ')}` : '';
  return `${s.clientId} at ${s.gateway || 'no node'}, queued ${waiting}${pubrecs}`;
}

export class Transcript implements NodesWatcher {
  readonly #nodes: TestNodes;
  readonly #shard: number;
  readonly #sessions: readonly string[];
  readonly #inboxes = new Map<string, Inbox>();
  readonly #leads = new Set<NodeCore>();
  readonly #timeline: Timeline;

  /** @param sessions Client Identifiers of the shard */
  constructor(nodes: TestNodes, shard: number, sessions: readonly string[]) {
    this.#nodes = nodes;
    this.#shard = shard;
    this.#sessions = sessions;
    this.#timeline = new Timeline(() => nodes.nowMs, 10);
    nodes.watcher = this;
    this.onStep();
    this.all();
  }

  get text(): string {
    return this.#timeline.text;
  }

  step(what: string): void {
    this.#timeline.step(what);
  }

  /** How the sessions stand at each copy. */
  all(): void {
    for (const core of this.#nodes.running) {
      const { replica, state } = core.shards.leaders[this.#shard]!;
      if (!replica.isActive(replica.self)) continue;
      const sessions = this.#sessions.flatMap((id) => state.sessions.get(id) ?? []);
      const texts = sessions.map(sessionText);
      this.#timeline.say(core.name, `log ${replica.log.end}; ${texts.join('; ')}`);
    }
  }

  onFrame(from: string, to: string, frame: Uint8Array, lost: boolean): void {
    const way = `${from} → ${to}`;
    let inbox = this.#inboxes.get(way);
    if (!inbox) {
      inbox = new Inbox();
      this.#inboxes.set(way, inbox);
    }
    const unit = inbox.take(frame);
    if (!unit) return;
    const r = new Reader(unit, 1);
    r.f64(); // the clock
    while (!r.done) {
      const text = this.#read(to, r);
      if (text) this.#timeline.say(way, `${text}${lost ? ' (lost)' : ''}`);
    }
  }

  onLink(a: string, b: string, up: boolean): void {
    for (const way of [`${a} → ${b}`, `${b} → ${a}`]) this.#inboxes.delete(way);
    this.#timeline.say(`${a} – ${b}`, up ? 'the link is up' : 'the link is gone');
  }

  onPacket({ node, clientId }: TestSocket, packet: Packet, sent: boolean): void {
    const way = sent ? `${clientId} → ${node.name}` : `${node.name} → ${clientId}`;
    this.#timeline.say(way, packetText(packet));
  }

  onStep(): void {
    for (const core of this.#nodes.running) {
      const leader = core.shards.serving(this.#shard);
      if (leader && !this.#leads.has(core)) {
        this.#leads.add(core);
        const { number } = leader.replica.view;
        this.#timeline.say(core.name, `leads the shard by view ${numberText(number)}`);
      } else if (!leader && this.#leads.delete(core))
        this.#timeline.say(core.name, 'leads the shard no more');
    }
  }

  /** Reads one message. @returns null if it is not of this shard, or says nothing of sessions */
  #read(to: string, r: Reader): string | null {
    const kind = KINDS.get(r.u8())!;
    switch (kind) {
      case 'Shard': {
        const { shard, message } = LinkMessage.Shard.read(r);
        // What commits is to be seen by what follows.
        if (message.type === 'append' && message.entries.length === 0) return null;
        return shard === this.#shard ? messageText(message, logged) : null;
      }
      case 'Request': {
        const { number, request } = LinkMessage.Request.read(r);
        return this.#request(number, request);
      }
      case 'Publish': {
        const { numbers, rx2, message } = LinkMessage.Publish.read(r);
        const number = numbers.find(({ shard }) => shard === this.#shard);
        return number ? this.#request(number, { type: 'publish', rx2, message }) : null;
      }
      case 'Reply': {
        const { shard, sequence, reply } = LinkMessage.Reply.read(r);
        return shard === this.#shard ? replyText(sequence, reply) : null;
      }
      case 'Deliver': {
        const { to: at, position, dup, message } = LinkMessage.Deliver.read(r);
        const what = `${position} ${message.topic}${dup ? ', DUP' : ''}`;
        return `deliver to ${this.#client(to, at.connection)}: position ${what}`;
      }
      case 'Pubrel': {
        const { to: at, position } = LinkMessage.Pubrel.read(r);
        return `PUBREL to ${this.#client(to, at.connection)}: position ${position}`;
      }
      default:
        LinkMessage[kind].read(r);
        return null;
    }
  }

  #request({ shard, sequence, prev }: RequestNumber, request: Request): string | null {
    if (shard !== this.#shard) return null;
    return `request ${sequence} after ${prev}: ${requestText(request)}`;
  }

  #client(node: string, connection: number): string {
    const core = this.#nodes.running.find(({ name }) => name === node);
    return core?.clients.connections.get(connection)?.clientId ?? 'a connection that is gone';
  }
}

function replyText(sequence: number, { status }: Reply): string {
  return `reply to ${sequence}: ${REPLIES.get(status)}`;
}
