/**
 * A process that answers for another, as the proxy of a container's host does: takes connections and datagrams
 * at its first argument, HOST:PORT, and passes them to its second. Says a line when it listens.
 */
import dgram from 'node:dgram';
import net from 'node:net';
import { parseAddress } from '../../src/address.ts';

const [from, to] = process.argv.slice(2, 4).map((text) => parseAddress(text));
if (from === undefined || to === undefined) throw new Error('two addresses, please');

net
  .createServer((client) => {
    const inner = net.connect(to.port, to.host);
    client.pipe(inner).pipe(client);
    client.on('error', () => inner.destroy());
    inner.on('error', () => client.destroy());
  })
  .listen(from.port, from.host);
const socket = dgram.createSocket('udp4');
socket.on('message', (bytes) => socket.send(bytes, to.port, to.host));
socket.on('error', () => {});
socket.bind(from.port, from.host, () => console.log('listens'));
