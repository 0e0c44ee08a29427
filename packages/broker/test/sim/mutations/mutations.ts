/** A rule of the core taken away by a change of one line; some run of the simulator must fail with it. */
export interface Mutation {
  readonly name: string;
  /** From packages/broker/src. */
  readonly file: string;
  /** Text that occurs once in the file, and what stands there instead. */
  readonly from: string;
  readonly to: string;
  /** Where it shows soonest: arguments of `npm run sim`, tried from `seed` on in short runs. */
  readonly focus?: { readonly args: readonly string[]; readonly seed: number };
  /** Where no run shows it: the model and the control that do, or why it changes nothing. */
  readonly instead?: string;
}

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'the leader counts its own copy before its sync',
    file: 'shard/copy.ts',
    from: '    if (this.durable < end) {',
    to: '    this.durable = end; this.advance();\n    if (this.durable < end) {',
  },
  {
    name: 'a holder that did not itself record the highest view',
    file: 'shard/formation.ts',
    from: 'if (!p.valid || !sameNumber(p.view.number, f.base.number) || !f.base.active.includes(id))',
    to: 'if (!p.valid || !f.base.active.includes(id))',
  },
  {
    name: 'the longest log of any promiser',
    file: 'shard/formation.ts',
    from: 'if (!p.valid || !sameNumber(p.view.number, f.base.number) || !f.base.active.includes(id))',
    to: 'if (!p.valid)',
  },
  {
    name: 'an append of an old view is accepted after a promise',
    file: 'shard/copy.ts',
    from: 'if (!sameNumber(m.number, this.promised) || !sameNumber(m.number, this.view.number)) {',
    to: 'if (sameNumber(m.number, this.view.number) && !sameNumber(m.number, this.promised)) {\n      this.accept(m.entries);\n      this.host.send(from, this.shard, { type: "appended", number: m.number, index: this.log.end });\n    }\n    if (!sameNumber(m.number, this.promised) || !sameNumber(m.number, this.view.number)) {',
  },
  {
    name: 'installed is said before it is durable',
    file: 'shard/formation.ts',
    from: "  r.host.trace('install');",
    to: "  r.host.trace('install');\n  r.host.send(from, r.shard, { type: 'installed', number });",
  },
  {
    name: 'PUBCOMP before RX2DONE',
    file: 'node/incoming.ts',
    from: '  c.gateway.releaseReceived(c.clientId, c.epoch, packetId, (ok) => {',
    to: '  pubcomp(c, packetId, true);\n  c.gateway.releaseReceived(c.clientId, c.epoch, packetId, (ok) => {\n    if (ok) return;',
  },
  {
    name: 'the barrier ignores nodes whose link is down',
    file: 'node/leases.ts',
    from: '      } else if (lapses > nowMs) {',
    to: '      } else if (lapses > nowMs && lapses < 0) {',
  },
  {
    name: 'the barrier gives up on a slow node',
    file: 'node/leases.ts',
    from: '        if (nowMs > lapses) barrier.waiting.delete(name);',
    to: '        if (nowMs > lapses || nowMs > barrier.startedMs + this.#silenceMs) barrier.waiting.delete(name);',
  },
  {
    name: 'a route lease is kept 3 s longer',
    file: 'node/peers.ts',
    from: 'peer.leaseUntilMs = Math.max(peer.leaseUntilMs, sentMs + this.#routeLeaseMs);',
    to: 'peer.leaseUntilMs = Math.max(peer.leaseUntilMs, sentMs + this.#routeLeaseMs + 3000);',
  },
  {
    name: 'publishes held for the route lease are overtaken',
    file: 'node/router.ts',
    from: 'if (this.#host.routable && this.#held.length === 0) return this.#route(message, rx2, done);',
    to: 'if (this.#host.routable) return this.#route(message, rx2, done);',
  },
  {
    name: 'live messages that wait for the window are overtaken',
    file: 'node/sending.ts',
    from: 'if (c.out.waitingCount > 0 || c.out.inFlight.size >= window(c)) {',
    to: 'if (c.out.inFlight.size >= window(c)) {',
  },
  {
    name: 'queued messages held back for the window are overtaken',
    file: 'node/sending.ts',
    from: 'if (c.out.held.length > 0 || c.out.inFlight.size >= c.receiveMaximum) c.out.held.push(d);',
    to: 'if (c.out.inFlight.size >= c.receiveMaximum) c.out.held.push(d);',
  },
  {
    name: 'commit on a majority of the active copies',
    file: 'shard/copy.ts',
    from: '      if (at < index) index = at;',
    to: '      if (at < index && this.view.active.filter((a) => a === this.self || (this.match.get(a) ?? 0) >= index).length * 2 <= this.view.active.length) index = at;',
  },
  {
    name: 'a follower acknowledges before its sync',
    file: 'shard/copy.ts',
    from: '    this.accept(m.entries);\n    const end = this.log.end;',
    to: '    this.accept(m.entries);\n    const end = this.log.end;\n    this.host.send(from, this.shard, { type: "appended", number: m.number, index: end });',
  },
  {
    name: 'PUBREL before REL commits',
    file: 'node/sending.ts',
    from: '  if (held.position < 0 || again) return c.write(pubrelFrame(packetId, c.version));',
    to: '  c.write(pubrelFrame(packetId, c.version));\n  if (held.position < 0 || again) return;',
  },
];
