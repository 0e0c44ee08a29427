import { isIPv4 } from 'node:net';
import { SwimError } from '../errors.ts';
import type { Discovery } from './discovery.ts';
import { dnsSeeds } from './dns.ts';
import { multicastSeeds } from './multicast.ts';
import { numberOf, RANGE_ADDRESSES_MAX, rangeSeeds, textOf } from './range.ts';
import { staticSeeds } from './static.ts';

/**
 * A discovery from its text:
 *
 * - `HOST:PORT`: that one, always
 * - `dns:NAME:PORT`: every A and AAAA of a name; `dns:NAME:PORT@SERVER` asks that DNS server
 * - `srv:NAME`: every service (SRV) of a name; `srv:NAME@SERVER`
 * - `multicast:GROUP:PORT`: who answers in an IPv4 multicast group; `…@IP` by that interface
 * - `range:RANGE:PORT`: who answers UDP among up to 4,096 IPv4 addresses, `10.0.0.0/24` or
 *   `10.0.0.5-10.0.0.90`; `range+tcp:RANGE:PORT` asks over TCP
 *
 * @throws SwimError SWIM_ERR_DISCOVERY, naming what is wrong and how to write it
 */
export function parseDiscovery(text: string): Discovery {
  const [, kind = '', rest = ''] = /^([a-z]+(?:\+[a-z]+)?):(.*)$/.exec(text) ?? [];
  switch (kind) {
    case 'dns':
      return parseDns(text, rest);
    case 'srv':
      return parseSrv(text, rest);
    case 'multicast':
      return parseMulticast(text, rest);
    case 'range':
    case 'range+tcp':
      return parseRange(text, kind, rest);
    default:
      return parseStatic(text, kind);
  }
}

const FORMS = {
  dns: 'dns:NAME:PORT, as in dns:swim.example:7700',
  srv: 'srv:NAME, as in srv:_swim._udp.example',
  multicast: 'multicast:GROUP:PORT, as in multicast:239.192.0.1:7701',
  range: 'range:RANGE:PORT, as in range:10.0.0.0/24:7700',
  static: 'HOST:PORT, or begin with dns:, srv:, multicast:, range: or range+tcp:',
};

function parseDns(text: string, rest: string): Discovery {
  const form = FORMS.dns;
  const [place, servers] = splitServer(text, rest, form);
  const [name, port] = splitPort(text, place, form);
  checkName(text, name, form);
  return dnsSeeds({ name, port, servers });
}

function parseSrv(text: string, rest: string): Discovery {
  const [name, servers] = splitServer(text, rest, FORMS.srv);
  if (/:\d+$/.test(name)) fail(text, 'services bring their own ports', FORMS.srv);
  checkName(text, name, FORMS.srv);
  return dnsSeeds({ name, type: 'SRV', servers });
}

function parseMulticast(text: string, rest: string): Discovery {
  const form = FORMS.multicast;
  const [place = '', iface] = rest.split('@');
  const [group, port] = splitPort(text, place, form);
  const first = isIPv4(group) ? numberOf(group) >>> 28 : 0;
  if (first !== 14) fail(text, `"${group}" is not in 224.0.0.0/4`, form);
  if (iface === undefined) return multicastSeeds({ group, port });
  if (!isIPv4(iface)) fail(text, `the interface "${iface}" is not an IPv4 address of it`, form);
  return multicastSeeds({ group, port, iface });
}

function parseRange(text: string, kind: 'range' | 'range+tcp', rest: string): Discovery {
  const form = FORMS.range;
  const [range, port] = splitPort(text, rest, form);
  const [from, to] = range.includes('/') ? ofBlock(text, range) : ofEnds(text, range);
  const count = numberOf(to) - numberOf(from) + 1;
  if (count < 1) fail(text, `${to} comes before ${from}`, form);
  if (count > RANGE_ADDRESSES_MAX) {
    fail(text, `${count} addresses are more than ${RANGE_ADDRESSES_MAX}`, 'a smaller range');
  }
  const via = kind === 'range' ? 'udp' : 'tcp';
  return rangeSeeds({ from, to, port, via, describes: text });
}

/** First and last host of a block; its network and broadcast addresses are no host's. */
function ofBlock(text: string, range: string): [from: string, to: string] {
  const [ip = '', bits = ''] = range.split('/');
  if (!isIPv4(ip)) fail(text, `"${ip}" is not an IPv4 address`, FORMS.range);
  if (!/^\d{1,2}$/.test(bits) || Number(bits) > 32) {
    fail(text, `"/${bits}" is not /0 to /32`, FORMS.range);
  }
  const size = 2 ** (32 - Number(bits));
  const first = Math.floor(numberOf(ip) / size) * size;
  const edge = size > 2 ? 1 : 0;
  return [textOf(first + edge), textOf(first + size - 1 - edge)];
}

function ofEnds(text: string, range: string): [from: string, to: string] {
  const [from = '', to = from] = range.split('-');
  for (const ip of [from, to]) {
    if (!isIPv4(ip)) fail(text, `"${ip}" is not an IPv4 address`, FORMS.range);
  }
  return [from, to];
}

function parseStatic(text: string, kind: string): Discovery {
  try {
    return staticSeeds([text]);
  } catch {
    const known = kind === '' || /^\d*$/.test(text.slice(kind.length + 1));
    return fail(text, known ? 'it is not HOST:PORT' : `there is no "${kind}:"`, FORMS.static);
  }
}

function splitPort(text: string, place: string, form: string): [host: string, port: number] {
  const colon = place.lastIndexOf(':');
  const port = place.slice(colon + 1);
  if (colon < 0) fail(text, 'the port is missing', form);
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
    fail(text, `the port "${port}" is not 1 to 65535`, form);
  }
  return [place.slice(0, colon), Number(port)];
}

function splitServer(text: string, rest: string, form: string): [place: string, servers: string[]] {
  const [place = '', server, ...more] = rest.split('@');
  if (server === undefined) return [place, []];
  const isServer = isIPv4(server.replace(/:\d{1,5}$/, '')) || /^\[[\da-f:]+\]/i.test(server);
  if (!isServer || more.length > 0) fail(text, `the DNS server "${server}" is not IP:PORT`, form);
  return [place, [server]];
}

function checkName(text: string, name: string, form: string): void {
  const labels = name.replace(/\.$/, '').split('.');
  const isName = name.length <= 253 && labels.every((label) => /^[\w-]{1,63}$/.test(label));
  if (!isName) fail(text, `"${name}" is not a host name`, form);
}

function fail(text: string, what: string, form: string): never {
  throw new SwimError('SWIM_ERR_DISCOVERY', `"${text}": ${what}; write ${form}.`);
}
