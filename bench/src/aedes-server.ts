/** aedes with its defaults on a TCP port of loopback: `aedes-server.ts PORT`. */
import { createServer } from 'node:net';
import { Aedes } from 'aedes';

const port = Number(process.argv[2]);
const broker = await Aedes.createBroker();
const server = createServer({ noDelay: true }, broker.handle);
server.listen({ port, host: '127.0.0.1', backlog: 4096 }, () => {
  process.stdout.write(`ready ${JSON.stringify({ pid: process.pid })}\n`);
});
process.once('SIGTERM', () => process.exit(0)); // an orderly end writes the CPU profile, if asked for one
