/** Which node does what in the demo, so that no client is connected to the node that dies. Pure. */

export interface Roles {
  /** The client subscribes here and goes away. */
  readonly subscribeVia: string;
  /** Messages are published here; it stays. */
  readonly publishVia: string;
  /** Leads the client's session, and is killed. */
  readonly victim: string;
  /** The client returns here; it stays. */
  readonly returnVia: string;
}

/**
 * The story of the demo: subscribe through the first node, publish through the second, return
 * through the third, kill the leader. If the leader is the second or third node, the first one,
 * which is free again by then, takes its part.
 *
 * @param nodes three node names
 * @param leader one of them
 */
export function assignRoles(nodes: readonly [string, string, string], leader: string): Roles {
  const [first, second, third] = nodes;
  return {
    subscribeVia: first,
    publishVia: leader === second ? first : second,
    victim: leader,
    returnVia: leader === third ? first : third,
  };
}
