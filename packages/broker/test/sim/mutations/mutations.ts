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
  /** Where no run shows it: the model and the control, or the test, that do, or why it changes nothing. */
  readonly instead?: string;
}

/** Arguments of `npm run sim`, and the seed from which they are tried. */
function focus(args: string, seed = 1): NonNullable<Mutation['focus']> {
  return { args: args.split(' '), seed };
}

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'the leader counts its own copy before its sync',
    file: 'shard/appending.ts',
    from: '    if (copy.durable < end) {',
    to: '    copy.durableUpTo(end); this.advance();\n    if (copy.durable < end) {',
    focus: focus('--replicas=1 --nodes=3 --fault=stallThenCut --fault=slowDisk --behaviour=none'),
  },
  {
    name: 'a holder that did not itself record the highest view',
    file: 'shard/holder.ts',
    from: 'if (!p.valid || !sameNumber(p.view.number, base.number) || !base.active.includes(id)) continue;',
    to: 'if (!p.valid || !base.active.includes(id)) continue;',
    instead: 'models/view-formation.pml, control PICK_UNRECORDED',
  },
  {
    name: 'the longest log of any promiser',
    file: 'shard/holder.ts',
    from: 'if (!p.valid || !sameNumber(p.view.number, base.number) || !base.active.includes(id)) continue;',
    to: 'if (!p.valid) continue;',
  },
  {
    name: 'an append of an old view is accepted after a promise',
    instead: 'models/view-formation.pml, control NO_PROMISE',
    file: 'shard/appending.ts',
    from: 'if (!sameNumber(m.number, copy.promised) || !sameNumber(m.number, copy.view.number)) {',
    to: 'if (sameNumber(m.number, copy.view.number) && !sameNumber(m.number, copy.promised)) {\n      copy.accept(m.entries);\n      this.#acknowledge(from, m.number, copy.log.end);\n    }\n    if (!sameNumber(m.number, copy.promised) || !sameNumber(m.number, copy.view.number)) {',
  },
  {
    name: 'installed is said before it is durable',
    file: 'shard/voting.ts',
    from: "    copy.host.trace('install');",
    to: "    copy.host.trace('install');\n    copy.host.send(from, copy.shard, { type: 'installed', number });",
    instead: 'models/view-formation.pml, control EARLY_INSTALLED',
  },
  {
    name: 'an OPEN read after a standstill counts as of now',
    file: 'node/client/arrivals.ts',
    from: '    return ++this.#old;',
    to: '    return this.#clock.next();',
    focus: focus('--nodes=3 --fault=pause --fault=kill --behaviour=changeExpiry', 148),
  },
  {
    name: 'PUBCOMP before RX2DONE',
    file: 'node/client/incoming.ts',
    from: '  c.clients.sessions.pubrel(c.clientId, c.epoch, packetId, (status) => {',
    to: '  pubcomp(c, packetId, true);\n  c.clients.sessions.pubrel(c.clientId, c.epoch, packetId, (status) => {\n    if (status === Status.Ok) return finish(c, REQUEST_BYTES);',
    focus: focus('--nodes=3 --fault=linkDelay --fault=linkStall --behaviour=reuseId'),
  },
  {
    name: 'the barrier ignores nodes whose link is down',
    file: 'node/route/grants.ts',
    from: '      if (deadlineMs > nowMs && !isOver(peer)) waiting.set(peer.name, deadlineMs);',
    to: '      if (w && deadlineMs > nowMs && !isOver(peer)) waiting.set(peer.name, deadlineMs);',
    focus: focus('--replicas=2 --nodes=5 --fault=cutReset --behaviour=race'),
  },
  {
    name: 'the barrier gives up on a slow node',
    file: 'node/route/grants.ts',
    from: '      if (nowMs > lapses || (peer && isOver(peer))) barrier.waiting.delete(name);',
    to: '      if (nowMs > lapses || nowMs > barrier.startedMs + this.#port.cluster.silenceMs) barrier.waiting.delete(name);',
    focus: focus('--replicas=2 --nodes=4 --fault=cutReset --fault=edge --behaviour=race', 10),
  },
  {
    name: 'a route grant is kept 3 s longer',
    file: 'node/link/peers.ts',
    from: '      peer.grantUntilMs = Math.max(peer.grantUntilMs, untilMs);',
    to: '      peer.grantUntilMs = Math.max(peer.grantUntilMs, untilMs + 3000);',
    instead:
      'models/node-grants.pml, control KEEP_GRANT; test/node/routing.test.ts: links by way of others come before a grant has run out for long',
  },
  {
    name: 'a grant counts before what was announced is read',
    file: 'node/link/peers.ts',
    from: 'earlyGrants[due]!.after <= peer.in.announced',
    to: 'earlyGrants[due]!.after >= 0',
    instead: 'test/node/grants.test.ts',
  },
  {
    name: 'a deposed leader answers SUBSCRIBE',
    file: 'node/lead/retaining.ts',
    from: '      if (!this.#leader.serving || this.#leader.since !== since) return;',
    to: '',
    instead: 'models/node-grants.pml, control DEPOSED_ANSWERS, and regression seed 82000066',
  },
  {
    name: 'routes that are on their way hold up nothing',
    file: 'node/route/grants.ts',
    from: 'if (this.#awaits(peer, nowMs) || this.#lacksRoutes(peer)) return Number.NEGATIVE_INFINITY;',
    to: 'if (this.#awaits(peer, nowMs)) return Number.NEGATIVE_INFINITY;',
    instead:
      'models/node-grants.pml, controls ROUTES_LACKING and SUSPECT_LACKING; src/node/route/grants.test.ts',
  },
  {
    name: 'a node that was gone on without is forgotten when it dies',
    file: 'node/route/grants.ts',
    from: 'if (this.#awaits(peer, nowMs) || this.#lacksRoutes(peer)) return Number.NEGATIVE_INFINITY;',
    to: 'if (this.#lacksRoutes(peer)) return Number.NEGATIVE_INFINITY;',
    instead: 'models/node-grants.pml, control NO_SUCCESSOR; test/node/routing.test.ts',
  },
  {
    name: 'what a member lost since it last granted is not waited for',
    file: 'node/route/grants.ts',
    from: 'if (open.length > 0) peer.gone =',
    to: 'if (open.length < 0) peer.gone =',
    instead: 'models/node-grants.pml, control DEPOSED_GRANTS; src/node/route/grants.test.ts',
  },
  {
    name: 'publishes held for route grants are overtaken',
    file: 'node/route/router.ts',
    from: 'if (this.#routable && this.#held.length === 0) return this.#route(message, rx2, publisher);',
    to: 'if (this.#routable) return this.#route(message, rx2, publisher);',
    instead:
      'nothing changes: what may be routed is reckoned in one place, and what was held goes out in the same turn',
  },
  {
    name: 'live messages that wait for the window are overtaken',
    file: 'node/client/sending.ts',
    from: 'if (out.waitingCount === 0 && windowTakes(c, window(c))) {',
    to: 'if (windowTakes(c, window(c))) {',
    instead:
      'test/node/slow-readers.test.ts: the window is refilled from what waits, but for a moment when a socket drains',
  },
  {
    name: 'queued messages held back for the window are overtaken',
    file: 'node/client/sending.ts',
    from: 'if (c.out.held.length === 0 && mayGo(c, d)) return sendAtPosition(c, d);',
    to: 'if (mayGo(c, d)) return sendAtPosition(c, d);',
    instead: 'test/node/slow-readers.test.ts',
  },
  {
    name: 'commit on a majority of the active copies',
    file: 'shard/appending.ts',
    from: '      if (at < index) index = at;',
    instead: 'models/view-formation.pml, control COMMIT_MOST',
    to: '      if (at < index && copy.view.active.filter((a) => a === copy.self || (this.#match.get(a) ?? 0) >= index).length * 2 <= copy.view.active.length) index = at;',
  },
  {
    name: 'a follower acknowledges before its sync',
    file: 'shard/appending.ts',
    from: '    copy.accept(m.entries);\n    const { end } = copy.log;',
    to: '    copy.accept(m.entries);\n    const { end } = copy.log;\n    this.#acknowledge(from, m.number, end);',
  },
  {
    name: 'PUBREL before PUBREC commits',
    file: 'node/client/sending.ts',
    from: '  if (again) return;',
    to: '  if (again) return;\n  c.write(pubrelFrame(packetId, c.version));',
    focus: focus('--fault=kill --fault=killSome --fault=clientBreak --behaviour=none'),
  },
  {
    name: 'a deposed leader of a group takes the answer that its successor needs',
    file: 'node/client/sharing.ts',
    from: 'if (term < (this.#terms.get(shard) ?? 0)) return;',
    to: 'if (term < 0) return;',
    instead:
      'src/node/client/sharing.test.ts: few seeds have two leaders that give the same message',
  },
  {
    name: 'what may have been sent at QoS 2 goes back to its group',
    file: 'session/operation/open.ts',
    from: 'if (group !== undefined && p >= s.mark)',
    to: 'if (group !== undefined)',
    focus: focus('--behaviour=share'),
  },
  {
    name: 'what an earlier process was given at QoS 2 goes to another member',
    file: 'node/client/connections.ts',
    from: 'if (give.qos === 2 && give.to.bootEpoch !== bootEpoch)',
    to: 'if (give.qos === 2 && give.token < 0)',
    focus: focus('--behaviour=share --fault=powerCutSome --fault=stallThenCut --fault=kill'),
  },
  {
    name: 'a gateway does not remember what it took for a group',
    file: 'node/client/sharing.ts',
    from: 'if (rx2) this.#taken.add(rx2);',
    to: '',
    focus: focus('--behaviour=share'),
  },
  {
    name: 'a lost link takes what is under way to members with it',
    file: 'node/lead/giving.ts',
    from: 'if (this.#given.get(token)!.bound) continue;',
    to: 'if (this.#given.has(token)) continue;',
    focus: focus('--behaviour=share'),
  },
  {
    name: 'a connection that ends keeps what its client has not acknowledged',
    file: 'node/client/shared-window.ts',
    from: 'given?.answer(qos === 2 ? Outcome.Ended : Outcome.Gone);',
    to: 'given?.answer(qos === 2 ? Outcome.Ended : Outcome.Done);',
    focus: focus('--behaviour=share'),
  },
  {
    name: 'a session that refuses a message of a group forgets that',
    file: 'node/lead/group-requests.ts',
    from: "leader.append({ type: 'refuse', rx2 }, origin, refused(status));",
    to: 'leader.afterCommit(refused(status));',
    instead: 'models/shared-group.pml, control REFUSE_IN_MEMORY',
  },
];
