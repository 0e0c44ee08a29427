/** A page in headless Chromium that is an MQTT client, served from this machine. */
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { chromium, type Page } from 'playwright-core';

/** Debian's. */
const CHROMIUM = '/usr/bin/chromium';
const MQTT_JS = createRequire(import.meta.url).resolve('mqtt/dist/mqtt.min');

export function hasChromium(): boolean {
  return fs.existsSync(CHROMIUM);
}

/** What the page says as it goes; each kind may come often. */
export type PageEvent =
  | { readonly type: 'connected'; readonly sessionPresent: boolean }
  | { readonly type: 'subscribed' }
  | { readonly type: 'message'; readonly payload: string }
  | { readonly type: 'closed' };

export interface PageClientOptions {
  /** Ports of the nodes on localhost, tried in turn. */
  readonly ports: readonly number[];
  readonly clientId: string;
  readonly topic: string;
  /** PEM of the only certificate that the browser accepts without an authority. */
  readonly cert: string;
}

/** The client of one page. {@link end} closes browser and server. */
export class PageClient {
  readonly events: PageEvent[] = [];
  readonly #page: Page;
  readonly #close: () => Promise<void>;
  #onEvent = (): void => {};

  private constructor(page: Page, close: () => Promise<void>) {
    this.#page = page;
    this.#close = close;
  }

  /** Opens the page: it connects by WSS with a session that is kept, and subscribes at QoS 1. */
  static async open({ ports, clientId, topic, cert }: PageClientOptions): Promise<PageClient> {
    const server = http.createServer((request, response) => {
      if (request.url !== '/mqtt.js')
        return response.setHeader('Content-Type', 'text/html').end(HTML);
      response.setHeader('Content-Type', 'text/javascript').end(fs.readFileSync(MQTT_JS));
    });
    server.listen(0, 'localhost');
    await once(server, 'listening');
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: [`--ignore-certificate-errors-spki-list=${keyPrint(cert)}`],
    });
    const close = async () => {
      await browser.close();
      server.close();
    };
    try {
      const page = await browser.newPage();
      const client = new PageClient(page, close);
      await page.exposeFunction('tell', (event: PageEvent) => client.#add(event));
      await page.goto(`http://localhost:${(server.address() as AddressInfo).port}/`);
      const servers = ports.map((port) => ({ host: 'localhost', port, protocol: 'wss' }));
      await page.evaluate(`start(${JSON.stringify({ servers, clientId, topic })})`);
      return client;
    } catch (error) {
      await close();
      throw error;
    }
  }

  #add(event: PageEvent): void {
    this.events.push(event);
    this.#onEvent();
  }

  /** Resolves once `enough` holds for the events so far. @throws Error if not within 30 s */
  async until(what: string, enough: (events: readonly PageEvent[]) => boolean): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => reject(new Error(`${what}: ${JSON.stringify(this.events.slice(-10))}`)),
      30_000,
    );
    this.#onEvent = () => {
      if (enough(this.events)) resolve();
    };
    this.#onEvent();
    await promise.finally(() => clearTimeout(timer));
  }

  /** Payloads that have come, in order. */
  get payloads(): string[] {
    return this.events.flatMap((event) => (event.type === 'message' ? [event.payload] : []));
  }

  /** Publishes at QoS 1 from the page, and resolves when all are acknowledged. */
  async publish(topic: string, payloads: readonly string[]): Promise<void> {
    await this.#page.evaluate(`publish(${JSON.stringify(topic)}, ${JSON.stringify(payloads)})`);
  }

  async end(): Promise<void> {
    await this.#close();
  }
}

/** As Chromium names a key: base64 of SHA-256 of the SubjectPublicKeyInfo. */
function keyPrint(cert: string): string {
  const spki = new X509Certificate(fs.readFileSync(cert)).publicKey.export({
    type: 'spki',
    format: 'der',
  });
  return createHash('sha256').update(spki).digest('base64');
}

const HTML = `<!doctype html>
<title>Shoal</title>
<script src="/mqtt.js"></script>
<script>
  let client;
  function start({ servers, clientId, topic }) {
    client = mqtt.connect({
      servers, clientId, transformWsUrl: (url) => new URL('/mqtt', url).href, protocolVersion: 5,
      clean: false, resubscribe: false, reconnectPeriod: 100,
      properties: { sessionExpiryInterval: 3600 },
    });
    client.on('connect', ({ sessionPresent }) => {
      tell({ type: 'connected', sessionPresent });
      if (!sessionPresent)
        client.subscribe(topic, { qos: 1 }, (error) => error || tell({ type: 'subscribed' }));
    });
    client.on('message', (_topic, payload) => tell({ type: 'message', payload: String(payload) }));
    client.on('close', () => tell({ type: 'closed' }));
    client.on('error', () => {});
  }
  function publish(topic, payloads) {
    return Promise.all(payloads.map((payload) => client.publishAsync(topic, payload, { qos: 1 })));
  }
</script>
`;
