import assert from 'node:assert/strict';
import type { SwimError } from '../errors.ts';
import { parseDiscovery } from './parse.ts';

describe('parseDiscovery', () => {
  for (const [text, describes = text] of [
    ['127.0.0.1:7946'],
    ['node-1.example:7946'],
    ['[::1]:7946'],
    ['dns:swim.example:7946'],
    ['dns:swim.example.:7946@127.0.0.1:5353'],
    ['dns:swim:7946@[::1]:53'],
    ['srv:_swim._udp.example'],
    ['srv:_swim._udp.example@10.0.0.53'],
    ['multicast:239.192.0.1:7947'],
    ['multicast:224.0.0.251:7947@127.0.0.1'],
    ['range:10.0.0.0/24:7946'],
    ['range:10.0.0.9/32:7946'],
    ['range:10.0.0.0/20:7946'],
    ['range:10.0.0.5-10.0.1.4:7946'],
    ['range+tcp:10.0.0.5:7946'],
  ] as [string, string?][]) {
    it(`takes ${text}`, () => {
      assert.equal(parseDiscovery(text).describes, describes);
    });
  }

  for (const [text, reason] of [
    ['', /not HOST:PORT; write HOST:PORT, or begin with dns:/],
    ['nonsense', /not HOST:PORT/],
    ['mdns:swim.example:7946', /there is no "mdns:"; write .*dns:, srv:/],
    ['host:99999', /not HOST:PORT/],
    ['dns:swim.example', /the port is missing; write dns:NAME:PORT/],
    ['dns:swim.example:0', /the port "0" is not 1 to 65535/],
    ['dns:swim example:7946', /"swim example" is not a host name/],
    ['dns::7946', /"" is not a host name/],
    ['dns:swim.example:7946@ns.example', /DNS server "ns.example" is not IP:PORT/],
    ['dns:swim.example:7946@1.1.1.1@2.2.2.2', /DNS server/],
    ['srv:_swim._udp.example:7946', /services bring their own ports; write srv:NAME/],
    ['srv:', /"" is not a host name/],
    ['multicast:10.0.0.1:7947', /"10.0.0.1" is not in 224.0.0.0\/4; write multicast:GROUP:PORT/],
    ['multicast:239.192.0.1', /port is missing/],
    ['multicast:239.192.0.1:7947@eth0', /the interface "eth0" is not an IPv4 address/],
    ['range:10.0.0.0/19:7946', /8190 addresses are more than 4096; write a smaller range/],
    ['range:10.0.0.0/33:7946', /"\/33" is not \/0 to \/32/],
    ['range:10.0.0/24:7946', /"10.0.0" is not an IPv4 address/],
    ['range:10.0.0.9-10.0.0.1:7946', /10.0.0.1 comes before 10.0.0.9/],
    ['range:10.0.0.9-host:7946', /"host" is not an IPv4 address/],
    ['range+tcp:10.0.0.0/24', /port is missing; write range:RANGE:PORT/],
    ['range+sctp:10.0.0.0/24:1', /there is no "range\+sctp:"/],
  ] as [string, RegExp][]) {
    it(`refuses "${text}", and says why`, () => {
      assert.throws(
        () => parseDiscovery(text),
        (error: SwimError) => error.code === 'SWIM_ERR_DISCOVERY' && reason.test(error.message),
      );
    });
  }
});
