/** Publishes numbered messages of QoS 1 and QoS 2 and counts what was acknowledged. */
import mqtt, { type MqttClient } from 'mqtt';
import { StallWatch } from './stall-watch.ts';
import { TALLY_MESSAGES_MAX } from './tally.ts';

/** Unacknowledged messages per QoS, at most. */
const IN_FLIGHT_MAX = 50;
const TICK_MS = 5;

export type StreamQos = 1 | 2;

/** One sequence of messages: of one QoS, on one topic. */
class Stream {
  readonly qos: StreamQos;
  readonly topic: string;
  sent = 0;
  acked = 0;
  refused = 0;

  constructor(qos: StreamQos, topic: string) {
    this.qos = qos;
    this.topic = topic;
  }

  get inFlight(): number {
    return this.sent - this.acked - this.refused;
  }
}

export class Publisher {
  readonly #client: MqttClient;
  readonly #streams: Record<StreamQos, Stream>;
  #timer: NodeJS.Timeout | null = null;
  readonly #stall = new StallWatch();

  private constructor(client: MqttClient, topic: string) {
    this.#client = client;
    this.#streams = { 1: new Stream(1, `${topic}/qos1`), 2: new Stream(2, `${topic}/qos2`) };
  }

  /** Connects with a session of its own, so that a broken connection resumes without doubles. */
  static async connect(address: string, clientId: string, topic: string): Promise<Publisher> {
    const client = await mqtt.connectAsync(`mqtt://${address}`, {
      clientId,
      clean: false,
      reconnectPeriod: 200,
      reconnectOnConnackError: true,
      resubscribe: false,
    });
    client.on('error', () => undefined); // it reconnects; what is not acknowledged is counted
    return new Publisher(client, topic);
  }

  sent(qos: StreamQos): number {
    return this.#streams[qos].sent;
  }

  acked(qos: StreamQos): number {
    return this.#streams[qos].acked;
  }

  /** Publishes that the broker answered with an error, or that could not be sent. */
  get refused(): number {
    return this.#streams[1].refused + this.#streams[2].refused;
  }

  /** Messages sent and not yet acknowledged. */
  get inFlight(): number {
    return this.#streams[1].inFlight + this.#streams[2].inFlight;
  }

  /**
   * Begins to publish at a steady rate, half of it QoS 1 and half QoS 2, until each QoS has reached
   * `each` messages, counted from the beginning of the demo. Waits while too much is unacknowledged.
   */
  start(each: number, messagesPerSecond: number): void {
    this.#stopTimer();
    const startMs = performance.now();
    const first = { 1: this.#streams[1].sent, 2: this.#streams[2].sent };
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - startMs) / 1000) * (messagesPerSecond / 2));
      for (const qos of [1, 2] as const) {
        const stream = this.#streams[qos];
        const target = Math.min(each, first[qos] + due, TALLY_MESSAGES_MAX);
        while (stream.sent < target && stream.inFlight < IN_FLIGHT_MAX) this.#publish(stream);
      }
    }, TICK_MS);
  }

  /** @returns false if it gave up because nothing was acknowledged for `stillMs` */
  until(reached: () => boolean, stillMs: number): Promise<boolean> {
    return this.#stall.until(reached, stillMs);
  }

  /** Stops publishing and waits until all that was sent is answered; false if that never came. */
  finish(stillMs: number): Promise<boolean> {
    this.#stopTimer();
    return this.until(() => this.inFlight === 0, stillMs);
  }

  async close(): Promise<void> {
    this.#stopTimer();
    // In order only if nothing is open: an end in order waits for every answer.
    await this.#client.endAsync(this.inFlight > 0);
  }

  #publish(stream: Stream): void {
    const payload = String(stream.sent);
    stream.sent++;
    this.#client.publish(stream.topic, payload, { qos: stream.qos }, (error) => {
      if (error) stream.refused++;
      else stream.acked++;
      this.#stall.advance();
    });
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}
