/** The client with the persistent session: subscribes, goes away, returns, counts. */
import mqtt, { type IConnackPacket, type MqttClient } from 'mqtt';
import type { StreamQos } from './publisher.ts';
import { StallWatch } from './stall-watch.ts';
import { Tally } from './tally.ts';

const RETRY_MS = 50;

export class Subscriber {
  readonly clientId: string;
  readonly tallies: Record<StreamQos, Tally> = { 1: new Tally(), 2: new Tally() };
  /** Payloads that are no numbered message of the demo. */
  unexpected = 0;
  /** performance.now() of the first message; null before. */
  firstMessageMs: number | null = null;
  readonly #filter: string;
  #client: MqttClient | null = null;
  readonly #stall = new StallWatch();

  /** @param topic messages arrive at TOPIC/qos1 and TOPIC/qos2 */
  constructor(clientId: string, topic: string) {
    this.clientId = clientId;
    this.#filter = `${topic}/#`;
  }

  /** Connects with clean_session=false, subscribes with QoS 2, and disconnects. */
  async subscribeAndLeave(address: string): Promise<void> {
    const client = await mqtt.connectAsync(`mqtt://${address}`, {
      clientId: this.clientId,
      clean: false,
    });
    await client.subscribeAsync(this.#filter, { qos: 2 });
    await client.endAsync();
  }

  /**
   * Connects again with clean_session=false, trying until the broker accepts.
   *
   * @returns the CONNACK's session_present: whether the broker still knows the session
   * @throws Error if the broker has not accepted it within `timeoutMs`
   */
  async comeBack(address: string, timeoutMs: number): Promise<boolean> {
    const client = mqtt.connect(`mqtt://${address}`, {
      clientId: this.clientId,
      clean: false,
      // One client object for all attempts: it remembers the QoS 2 identifiers that it received.
      reconnectPeriod: RETRY_MS,
      reconnectOnConnackError: true,
      connectTimeout: timeoutMs,
      resubscribe: false,
    });
    this.#client = client;
    client.on('message', (topic, payload) => this.#onMessage(topic, payload));
    client.on('error', () => undefined); // tried again until the time is up
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        client.end(true);
        reject(new Error(`${address} did not accept the client within ${timeoutMs / 1000} s`));
      }, timeoutMs);
      client.once('connect', (connack: IConnackPacket) => {
        clearTimeout(timer);
        resolve(connack.sessionPresent);
      });
    });
  }

  /** @returns false if it gave up because nothing arrived for `stillMs` */
  until(reached: () => boolean, stillMs: number): Promise<boolean> {
    return this.#stall.until(reached, stillMs);
  }

  async close(): Promise<void> {
    await this.#client?.endAsync(!this.#client.connected);
    this.#client = null;
  }

  #onMessage(topic: string, payload: Buffer): void {
    this.firstMessageMs ??= performance.now();
    const sequence = /^\d+$/.test(payload.toString('latin1')) ? Number(payload.toString()) : -1;
    if (topic.endsWith('/qos1') && sequence >= 0) this.tallies[1].receive(sequence);
    else if (topic.endsWith('/qos2') && sequence >= 0) this.tallies[2].receive(sequence);
    else this.unexpected++;
    this.#stall.advance();
  }
}
