import pino from 'pino';
import type { Config } from '../config.ts';
import type { Log } from '../ports.ts';

/** The log of a process: JSON lines on standard error, each written before the call returns. */
export function openLog(config: Pick<Config, 'log' | 'node'>): Log {
  const options = { level: config.log.level, base: { node: config.node.name } };
  const logger = pino(options, pino.destination({ dest: 2, sync: true }));
  return (level, message, fields) => logger[level](fields ?? {}, message);
}
