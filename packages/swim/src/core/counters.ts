/** What was seen since the start; only ever grows. */
export interface SwimCounters {
  packetsIn: number;
  packetsOut: number;
  bytesOut: number;
  /** Of requests and answers, TCP's own aside. */
  streamBytesOut: number;
  malformed: number;
  otherVersion: number;
  otherCluster: number;
  /** Answers about a member from another address than the one asked. */
  strangersRefused: number;
  /** Packets of a process whose name has a newer boot epoch. */
  staleSender: number;
  probes: number;
  probesFailed: number;
  /** Verdicts put off because this process had stalled. */
  probesRearmed: number;
  suspicions: number;
  /** Members that this process suspected because their hosts refuse connections. */
  refusals: number;
  /** Processes that wanted the name of a present member. */
  namesClaimed: number;
  /** Times that this process raised its boot epoch above one that the cluster knew. */
  epochsRaised: number;
  /** Members this process itself declared faulty. */
  declaredFaulty: number;
  refutes: number;
  stalls: number;
  syncs: number;
  /** Attempts to join through a seed that failed. */
  seedsFailed: number;
  /** Times that a member answered over a stream, and not by datagrams. */
  streamAcks: number;
  /** Newcomers turned away, and records left out of a sync, for want of room. */
  membersRefused: number;
  /** Changes of the stable view. */
  viewChanges: number;
  /** Times when most other hosts became suspect at once. */
  massSuspicions: number;
  /** User events delivered here, the own ones included. */
  events: number;
  /** User events that came and were not taken: too old, too many, or of an unknown member. */
  eventsRefused: number;
  /** User events no longer gossiped, for want of room. */
  eventsDropped: number;
}

/** All at zero. */
export function newCounters(): SwimCounters {
  return {
    packetsIn: 0,
    packetsOut: 0,
    bytesOut: 0,
    streamBytesOut: 0,
    malformed: 0,
    otherVersion: 0,
    otherCluster: 0,
    strangersRefused: 0,
    staleSender: 0,
    probes: 0,
    probesFailed: 0,
    probesRearmed: 0,
    suspicions: 0,
    refusals: 0,
    namesClaimed: 0,
    epochsRaised: 0,
    declaredFaulty: 0,
    refutes: 0,
    stalls: 0,
    syncs: 0,
    seedsFailed: 0,
    streamAcks: 0,
    membersRefused: 0,
    viewChanges: 0,
    massSuspicions: 0,
    events: 0,
    eventsRefused: 0,
    eventsDropped: 0,
  };
}
