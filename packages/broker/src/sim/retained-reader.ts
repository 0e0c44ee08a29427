import { SimClient } from './client.ts';
import type { ClientEnv } from './client-port.ts';

/** Retained copies come behind the SUBACK, as soon as every shard asked for has a leader with a lease. */
const READ_MS = 2000;

/** Reads retained messages through one node with a fresh session; tries again if it is dropped. */
export class RetainedReader {
  done = false;
  readonly #client: SimClient;
  readonly node: string;

  constructor(
    env: ClientEnv,
    node: string,
    topics: readonly string[],
    read: (topic: string, id: number | undefined) => void,
  ) {
    this.node = node;
    this.#client = new SimClient(
      env,
      {
        clientId: `reader-${node}`,
        version: 4,
        persistent: false,
        ackDelayMs: 0,
        patienceMs: 3000,
        keepAliveSeconds: 0,
        receiveMaximum: 0,
      },
      {
        onConnected: () => this.#client.subscribe(topics.map((filter) => ({ filter, qos: 1 }))),
        onClosed: () => {
          if (!this.done) env.scheduler.after(100, () => this.#connect());
        },
        onSubscribed: () => {
          env.scheduler.after(READ_MS, () => {
            if (this.done || !this.#client.connected) return;
            this.done = true;
            const found = new Map<string, number>();
            for (const { message, retained } of this.#client.session?.receipts.values() ?? []) {
              if (retained > 0) found.set(message.topic, message.id);
            }
            for (const topic of topics) read(topic, found.get(topic));
            this.#client.disconnect();
          });
        },
      },
    );
    this.#connect();
  }

  #connect(): void {
    this.#client.connect(this.node);
  }
}
