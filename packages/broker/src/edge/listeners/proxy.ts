/** The PROXY header before anything else, from addresses that are named. */
import { BlockList, isIPv6, type Socket } from 'node:net';
import type { Layer } from './openings.ts';
import { PROXY_HEADER_BYTES_MAX, readProxyHeader } from './proxy-header.ts';

/** Stands for the peer of a unix socket among the addresses of proxies. */
const UNIX = 'unix';

/**
 * Whether a peer is one of the proxies.
 *
 * @param from IP addresses, ranges as `10.0.0.0/8`, and `unix`
 */
export function proxyMatcher(from: readonly string[]): (socket: Socket) => boolean {
  const list = new BlockList();
  for (const entry of from) {
    const [address = '', bits] = entry.split('/');
    if (address === UNIX) continue;
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return ({ remoteAddress: address }) => {
    if (address === undefined) return from.includes(UNIX);
    // An IPv4 peer of a dual-stack port has an IPv6 address.
    const plain = address.replace(/^::ffff:(?=\d+\.)|%.*$/g, '');
    return list.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4');
  };
}

/** Reads the header of those that must send one; others are clients themselves. */
export function proxyLayer(from: readonly string[]): Layer {
  const isProxy = proxyMatcher(from);
  return (opening, next) => {
    const { socket } = opening;
    if (!isProxy(socket)) return next(opening);
    let read: Buffer = Buffer.alloc(0);
    const onReadable = () => {
      for (;;) {
        const chunk: Buffer | null = socket.read();
        if (chunk === null) return;
        read = Buffer.concat([read, chunk]);
        const header = readProxyHeader(read.subarray(0, PROXY_HEADER_BYTES_MAX));
        if (header.kind === 'malformed')
          return opening.fail(`PROXY header is malformed: ${header.why}`);
        if (header.kind === 'incomplete') continue;
        socket.off('readable', onReadable);
        socket.off('end', onEnd);
        const rest = read.subarray(header.bytes);
        if (rest.length > 0) socket.unshift(rest);
        opening.remote = header.remote;
        next(opening);
        return;
      }
    };
    const onEnd = () => opening.fail('the proxy has closed the connection');
    socket.on('readable', onReadable);
    socket.on('end', onEnd);
  };
}
