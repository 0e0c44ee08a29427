/** `runNode` with a node that does what its first argument says: the child process of a test. */

import { BrokerError } from '@shoal/broker';
import { runNode, type StartNode } from '../../src/run-node.ts';

const behaviour = process.argv[2];
const addresses = { mqtt: 'm', listeners: [], cluster: 'c', admin: 'a' };
const report = { node: 'a', pid: process.pid, ...addresses };
const never = new Promise<never>(() => {});

const startNode: StartNode = async (_config, hooks) => {
  // Something must keep the process alive, as sockets do.
  const alive = setInterval(() => {}, 1000);
  if (behaviour === 'cannot-start') throw new BrokerError('BROKER_ERR_DATA_LOCKED', '/data');
  if (behaviour === 'fatal') {
    setImmediate(() => hooks.onFatal(new BrokerError('BROKER_ERR_DISK_FAILED', 'EIO')));
  }
  if (behaviour === 'removed') setImmediate(() => hooks.onLeft());
  if (behaviour === 'throws') setImmediate(() => Promise.reject(new TypeError('a bug')));
  process.stderr.write('started\n');
  return {
    ready: behaviour === 'never-ready' ? never : Promise.resolve(report),
    reload: async () => {
      process.stderr.write('reloading\n');
    },
    stop: async () => {
      process.stderr.write('stopping\n');
      if (behaviour === 'slow-stop') await never;
      clearInterval(alive);
    },
  };
};

process.exit(await runNode({} as never, startNode));
