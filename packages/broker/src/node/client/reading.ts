/**
 * When a client's socket is read: not while too much of what it sent is unanswered, nor while it does
 * not take its answers.
 *
 * ```
 *   request ── begin ──▶ under way ── finish ──▶ answer ──▶ socket ── drained
 *              └ count or bytes at the bound: not read ┘ └ not taken: not read ┘
 * ```
 * What the broker itself does not read is no silence of the client: Keep Alive waits.
 */
import type { Client } from './parts.ts';

/** Why a socket is not read; a set of bits. */
export const Unread = {
  /** As many publishes, or bytes of them, are under way as one connection may have. */
  UnderWay: 1,
  /** The client does not take its answers. */
  Answers: 2,
  /** All connections of the node together have as many bytes under way as they may. */
  Crowded: 4,
  /** A subscriber cannot keep up with what this client publishes. */
  Slowed: 8,
} as const;

/** The client is told of a refusal. */
export function noteRefusal(c: Client, reasonCode: number): void {
  c.lastErrorCode = reasonCode;
  c.lastErrorMs = c.port.env.wallMs();
}

/** What a request without a payload counts while it is under way. */
export const REQUEST_BYTES = 256;
/** Bytes of answers that a client has not taken; beyond, it is not read until it has taken all. */
const ANSWER_BYTES_MAX = 65_536;

/** Connections go on when this share of the node's bound is under way. */
const CROWDED_LOW = 0.75;

/**
 * A client whose own queue is full is read beyond the bounds, up to this many times them: what it sends
 * may be the acknowledgements that others wait for, and two that publish to each other would wait for ever.
 */
const RELENT_MAX = 4;

/** The client has asked for something that takes a while: it counts until {@link finish}. */
export function begin(c: Client, bytes: number): void {
  const { counters, limits } = c.port;
  const { crowded } = c.clients;
  c.unacknowledged++;
  c.unacknowledgedBytes += bytes;
  counters.publishBytes += bytes;
  const times = c.out?.full ? RELENT_MAX : 1;
  if (
    c.unacknowledged >= c.options.receiveMaximum * times ||
    c.unacknowledgedBytes >= limits.publishBytesInFlight * times
  )
    hold(c, Unread.UnderWay);
  if (times === 1 && counters.publishBytes >= limits.nodePublishBytes) {
    hold(c, Unread.Crowded);
    crowded.add(c);
  }
}

/** What {@link begin} counted is over, whether or not the connection still is. */
export function finish(c: Client, bytes: number): void {
  const { counters, limits } = c.port;
  const { crowded } = c.clients;
  c.unacknowledged--;
  c.unacknowledgedBytes -= bytes;
  counters.publishBytes -= bytes;
  if (c.unread !== 0) goOn(c);
  if (crowded.size === 0 || counters.publishBytes > limits.nodePublishBytes * CROWDED_LOW) return;
  for (const other of crowded) release(other, Unread.Crowded);
  crowded.clear();
}

function goOn(c: Client): void {
  const { limits } = c.port;
  const { crowded } = c.clients;
  if (
    c.unacknowledged <= c.options.receiveMaximum / 2 &&
    c.unacknowledgedBytes <= limits.publishBytesInFlight / 2
  )
    release(c, Unread.UnderWay);
  if (c.unacknowledged > 0) return;
  release(c, Unread.Slowed);
  // A connection with nothing under way may always send one more: stuck publishes of others do not stop it.
  if (crowded.delete(c)) release(c, Unread.Crowded);
}

/** A subscriber is behind: what this client has under way is answered before more is read. */
export function slow(c: Client): void {
  if (c.unacknowledged > 0 && !c.out?.full) hold(c, Unread.Slowed);
}

/** Publishers have begun to wait for this client: its acknowledgements must come. */
export function relent(c: Client): void {
  if (c.unread === 0) return;
  const { limits } = c.port;
  const { crowded } = c.clients;
  release(c, Unread.Slowed);
  if (crowded.delete(c)) release(c, Unread.Crowded);
  if (
    c.unacknowledged < c.options.receiveMaximum * RELENT_MAX &&
    c.unacknowledgedBytes < limits.publishBytesInFlight * RELENT_MAX
  )
    release(c, Unread.UnderWay);
}

/** Sends an answer; a client that does not take its answers is not read. */
export function answer(c: Client, frame: Uint8Array): void {
  c.write(frame);
  c.answerBytes += frame.length;
  if (c.answerBytes <= ANSWER_BYTES_MAX || (c.unread & Unread.Answers) !== 0) return;
  hold(c, Unread.Answers);
  c.undrainedBytes = c.socket.pendingBytes;
  c.socket.awaitDrain();
}

export function answersTaken(c: Client): void {
  c.answerBytes = 0;
  release(c, Unread.Answers);
}

/**
 * Whether the broker, and not the client, is why nothing comes. A client that takes none of its answers
 * counts as silent.
 */
export function isHeldUp(c: Client): boolean {
  if (c.unread === 0) return false;
  if (c.unread !== Unread.Answers) return true;
  const before = c.undrainedBytes;
  c.undrainedBytes = c.socket.pendingBytes;
  return c.undrainedBytes < before;
}

function hold(c: Client, reason: number): void {
  if (c.unread === 0) c.socket.pause();
  c.unread |= reason;
}

function release(c: Client, reason: number): void {
  if ((c.unread & reason) === 0) return;
  c.unread &= ~reason;
  if (c.unread !== 0) return;
  c.heard();
  if (!c.full) c.socket.resume();
}
