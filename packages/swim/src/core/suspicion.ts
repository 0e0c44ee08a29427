/** Bounds of one suspicion. */
export interface SuspicionBounds {
  readonly minMs: number;
  readonly maxMs: number;
  /** Confirmations by other members that bring it down to minMs. */
  readonly confirmations: number;
}

/**
 * Bounds for a cluster of n members that are not dead.
 *
 * The shortest grows with log10 n, as the spread of a refutation does (SWIM §4.2), but is the same for
 * all up to 32: there it is the pause of a process that must be outlasted, which does not depend on n.
 * If too few others can confirm, the shortest applies at once.
 */
export function suspicionBounds(
  options: {
    /** Up to so many members suspicions last alike; default 32. */
    readonly suspicionMembersMin?: number;
    readonly suspicionMult: number;
    readonly suspicionMaxMult: number;
    readonly suspicionConfirmations: number;
    readonly protocolPeriodMs: number;
  },
  members: number,
): SuspicionBounds {
  const scale = Math.log10(Math.max(options.suspicionMembersMin ?? SMALL_CLUSTER, members));
  const minMs = options.suspicionMult * scale * options.protocolPeriodMs;
  // Neither the suspect nor the first accuser confirms.
  const confirmations = Math.max(0, Math.min(options.suspicionConfirmations, members - 2));
  const maxMs = confirmations === 0 ? minMs : minMs * options.suspicionMaxMult;
  return { minMs, maxMs, confirmations };
}

/**
 * Time from the first suspicion until the member is faulty (Lifeguard, "dynamic suspicion").
 *
 * Falls from maxMs to minMs with the logarithm of the confirmations had.
 */
export function suspicionTimeoutMs(bounds: SuspicionBounds, confirmed: number): number {
  const { minMs, maxMs, confirmations } = bounds;
  if (confirmations === 0) return minMs;
  const fraction = Math.log(confirmed + 1) / Math.log(confirmations + 1);
  return Math.max(minMs, maxMs - (maxMs - minMs) * fraction);
}

/**
 * Bounds for a member that is silent: it may be paused, and its host with it.
 *
 * @param silenceMs the shortest; a lone accuser waits longer than it by as much as in other suspicions
 */
export function silenceBounds(bounds: SuspicionBounds, silenceMs: number): SuspicionBounds {
  if (silenceMs <= bounds.minMs) return bounds;
  return { ...bounds, minMs: silenceMs, maxMs: silenceMs + (bounds.maxMs - bounds.minMs) };
}

/** Bounds for a member whose host says to several that it is gone: there is nothing to confirm. */
export function refusalBounds({ minMs }: SuspicionBounds): SuspicionBounds {
  return { minMs, maxMs: minMs, confirmations: 0 };
}

/** Up to so many members suspicions last alike. */
const SMALL_CLUSTER = 32;
