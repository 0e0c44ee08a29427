import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { BrokerUnderTest } from './broker-under-test.ts';
import { ManagedProcess } from './managed-process.ts';
import { freePort } from './ports.ts';
import type { Endpoint } from './wire.ts';

/** Where Debian puts it. */
export const MOSQUITTO: string =
  ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto'].find((file) => fs.existsSync(file)) ??
  'mosquitto';

/**
 * One mosquitto. Without persistence it is the planted bug of this harness: it acknowledges, is
 * killed, and has forgotten every session.
 */
export class MosquittoBroker implements BrokerUnderTest {
  readonly names = ['mosquitto'];
  readonly folder: string;
  readonly #port: number;
  #process: ManagedProcess | undefined;

  private constructor(folder: string, port: number) {
    this.folder = folder;
    this.#port = port;
  }

  static async create(options: { readonly persistence: boolean }): Promise<MosquittoBroker> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'shoal-mosquitto-'));
    const broker = new MosquittoBroker(folder, await freePort(new Set()));
    const lines = [
      `listener ${broker.#port} 127.0.0.1`,
      'allow_anonymous true',
      'max_queued_messages 0',
      `persistence ${options.persistence}`,
      `persistence_location ${folder}/`,
    ];
    // Started by root, it would otherwise give its rights up and could not write here.
    if (process.getuid?.() === 0) lines.push('user root');
    fs.writeFileSync(path.join(folder, 'mosquitto.conf'), `${lines.join('\n')}\n`);
    await broker.start();
    return broker;
  }

  endpoint(): Endpoint {
    return { node: 'mosquitto', host: '127.0.0.1', port: this.#port };
  }

  isUp(): boolean {
    return this.#process !== undefined && !this.#process.exit;
  }

  async start(): Promise<void> {
    this.#process = await ManagedProcess.start({
      command: MOSQUITTO,
      args: ['-c', path.join(this.folder, 'mosquitto.conf')],
      logFile: path.join(this.folder, 'mosquitto.log'),
    });
    for (let tries = 0; tries < 200; tries++) {
      if (this.#process.exit) throw new Error(`mosquitto ended:\n${this.#process.tail()}`);
      if (await answers(this.#port)) return;
      await pause(25);
    }
    throw new Error('mosquitto does not listen');
  }

  async kill(_name: string, signal: NodeJS.Signals): Promise<void> {
    await this.#process?.kill(signal);
  }

  signal(_name: string, signal: NodeJS.Signals): void {
    this.#process?.signal(signal);
  }

  whole(): Promise<boolean> {
    return Promise.resolve(this.isUp());
  }

  describe(): Promise<string> {
    return Promise.resolve(this.isUp() ? 'runs' : 'does not run');
  }

  async stop(keep = false): Promise<void> {
    await this.#process?.kill('SIGKILL');
    if (!keep) fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

function answers(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = net.connect({ host: '127.0.0.1', port });
  socket.once('connect', () => resolve(true));
  socket.once('error', () => resolve(false));
  socket.once('connect', () => socket.destroy());
  return promise;
}
