/**
 * The header that a proxy sends before a client's bytes, to say who the client is: version 1 is a line of text,
 * version 2 is binary (PROXY protocol, HAProxy Technologies, 2020).
 */
import { isIPv4, isIPv6 } from 'node:net';
import { formatAddress } from '@shoal/swim';

/** Bytes of a header; version 2 could announce 64 KiB. */
export const PROXY_HEADER_BYTES_MAX = 4_096;

/** Bytes of a line of version 1, its end included. */
const V1_BYTES_MAX = 107;

const V1_START = Buffer.from('PROXY ', 'latin1');
const V2_START = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const V2_HEAD_BYTES = 16;

/** What the bytes read so far are. */
export type ProxyHeader =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'malformed'; readonly why: string }
  | {
      readonly kind: 'complete';
      readonly bytes: number;
      /** HOST:PORT of the client; undefined where the proxy speaks for itself, as in a health check. */
      readonly remote: string | undefined;
    };

const INCOMPLETE: ProxyHeader = { kind: 'incomplete' };
const malformed = (why: string): ProxyHeader => ({ kind: 'malformed', why });

/** @param read what has come so far, from the first byte on */
export function readProxyHeader(read: Buffer): ProxyHeader {
  if (startsAs(read, V1_START)) return read.length < V1_START.length ? INCOMPLETE : readV1(read);
  if (startsAs(read, V2_START)) return read.length < V2_HEAD_BYTES ? INCOMPLETE : readV2(read);
  return malformed('it does not begin as one');
}

function startsAs(read: Buffer, start: Buffer): boolean {
  const bytes = Math.min(read.length, start.length);
  return read.subarray(0, bytes).equals(start.subarray(0, bytes));
}

function readV1(read: Buffer): ProxyHeader {
  const end = read.subarray(0, V1_BYTES_MAX).indexOf('\r\n');
  if (end < 0) return read.length < V1_BYTES_MAX ? INCOMPLETE : malformed('its line has no end');
  const bytes = end + 2;
  const words = read.toString('latin1', 0, end).split(' ');
  const [, family, source = '', destination = '', sourcePort = '', destinationPort = ''] = words;
  if (family === 'UNKNOWN') return { kind: 'complete', bytes, remote: undefined };
  const isIP = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : () => false;
  if (words.length !== 6 || !isIP(source) || !isIP(destination))
    return malformed('its line names no addresses');
  if (!isPort(sourcePort) || !isPort(destinationPort)) return malformed('its line names no ports');
  return { kind: 'complete', bytes, remote: formatAddress(hostText(source), Number(sourcePort)) };
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

/** Byte 12: version and command; 13: family and transport; 14 and 15: bytes that follow, addresses first. */
function readV2(read: Buffer): ProxyHeader {
  const command = read[12]!;
  const family = read[13]!;
  const bytes = V2_HEAD_BYTES + read.readUInt16BE(14);
  if (command !== 0x20 && command !== 0x21) return malformed('unknown version or command');
  if (bytes > PROXY_HEADER_BYTES_MAX) return malformed('it is too long');
  if (read.length < bytes) return INCOMPLETE;
  const isLocal = command === 0x20;
  if (isLocal || family === 0x00) return { kind: 'complete', bytes, remote: undefined };
  const addresses = read.subarray(V2_HEAD_BYTES, bytes);
  if (family === 0x11 && addresses.length >= 12) {
    const remote = formatAddress(addresses.subarray(0, 4).join('.'), addresses.readUInt16BE(8));
    return { kind: 'complete', bytes, remote };
  }
  if (family === 0x21 && addresses.length >= 36) {
    const host = ipv6Text(addresses.subarray(0, 16));
    return { kind: 'complete', bytes, remote: formatAddress(host, addresses.readUInt16BE(32)) };
  }
  // A unix socket or a datagram: the client has no address that could be shown.
  if (family === 0x31 && addresses.length >= 216)
    return { kind: 'complete', bytes, remote: undefined };
  return malformed('its addresses are of no known family, or cut off');
}

function ipv6Text(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  return hostText(groups.join(':'));
}

/** An IP address as every header and every socket of it shows it: in its shortest form, and IPv4 as such. */
function hostText(address: string): string {
  if (isIPv4(address)) return address;
  const [host] = address.split('%');
  // A URL writes an IPv6 address in its shortest form, and an IPv4 address within it as two groups.
  const shortest = new URL(`http://[${host}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([\da-f]+):([\da-f]+)$/.exec(shortest);
  if (mapped === null) return shortest;
  const bytes = mapped.slice(1).flatMap((group) => {
    const both = Number.parseInt(group, 16);
    return [both >> 8, both & 0xff];
  });
  return bytes.join('.');
}
