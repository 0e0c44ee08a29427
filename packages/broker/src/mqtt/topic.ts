/**
 * Topic Names and Topic Filters (§4.7): validity, matching, Shared Subscriptions.
 */

/** Longest Topic Name or Topic Filter, in bytes of UTF-8 [MQTT-4.7.3-3]. */
export const TOPIC_BYTES_MAX = 65_535;

/**
 * Most levels of a Topic Name or Topic Filter. Tries are walked recursively and cost memory per
 * level, so that a packet full of slashes must not decide how deep.
 */
export const TOPIC_LEVELS_MAX = 200;

/** Whether a PUBLISH may name it: not empty, no wildcards, no U+0000, within the limits. */
export function isTopicName(topic: string): boolean {
  for (let i = 0; i < topic.length; i++) {
    const c = topic.charCodeAt(i);
    if (c === 0 || c === 35 || c === 43) return false; // NUL # +
  }
  return isWithinLimits(topic);
}

/**
 * Whether a SUBSCRIBE may ask for it: well-formed and within the limits. `$share/…` is not unwrapped:
 * see {@link parseShare}.
 */
export function isTopicFilter(filter: string): boolean {
  return isWellFormedFilter(filter) && isWithinLimits(filter);
}

/**
 * Not empty [MQTT-4.7.3-1], `#` alone in the last level [MQTT-4.7.1-1], `+` alone in its level
 * [MQTT-4.7.1-2], no U+0000 [MQTT-4.7.3-2]. Anything else breaks the protocol.
 */
export function isWellFormedFilter(filter: string): boolean {
  const last = filter.length - 1;
  for (let i = 0; i <= last; i++) {
    const c = filter.charCodeAt(i);
    if (c === 0) return false;
    if (c !== 35 && c !== 43) continue;
    if (i > 0 && filter.charCodeAt(i - 1) !== 47) return false;
    if (c === 35 ? i !== last : i < last && filter.charCodeAt(i + 1) !== 47) return false;
  }
  return last >= 0;
}

function isWithinLimits(topic: string): boolean {
  if (topic.length === 0) return false;
  // A UTF-16 unit takes at most three bytes of UTF-8: count only where it could matter.
  if (topic.length > TOPIC_BYTES_MAX / 3 && Buffer.byteLength(topic) > TOPIC_BYTES_MAX)
    return false;
  return !exceedsLevels(topic, TOPIC_LEVELS_MAX);
}

/** Whether a topic or filter has more than `most` levels; a short one is not looked at. */
export function exceedsLevels(topic: string, most: number): boolean {
  // n levels take n − 1 slashes.
  if (topic.length < most) return false;
  let levels = 1;
  for (let at = topic.indexOf('/'); at >= 0; at = topic.indexOf('/', at + 1))
    if (++levels > most) return true;
  return false;
}

/** Whether a topic or filter is the cluster's own: clients may neither publish nor subscribe there. */
export function isOfCluster(topic: string): boolean {
  return topic.charCodeAt(0) === 36 && (topic === '$shoal' || topic.startsWith('$shoal/'));
}

/**
 * Whether clients may not publish there: `$SYS` is the server's own, to be read only (§4.7.2), and nobody can
 * subscribe to a Topic Name that begins as the filter of a Shared Subscription does.
 */
export function isReserved(topic: string): boolean {
  if (topic.charCodeAt(0) !== 36) return false;
  return (
    topic === '$SYS' ||
    topic.startsWith('$SYS/') ||
    topic.startsWith('$share/') ||
    isOfCluster(topic)
  );
}

/** Whether a Topic Filter asks for topics of `$SYS` alone: no other one matches any [MQTT-4.7.2-1]. */
export function isSys(filter: string): boolean {
  return filter.charCodeAt(0) === 36 && filter.startsWith('$SYS/');
}

/** Whether a Topic Filter contains a wildcard character. */
export function hasWildcard(filter: string): boolean {
  return filter.includes('+') || filter.includes('#');
}

/** Whether a Topic Filter that is valid in its form is that of a Shared Subscription (§4.8.2). */
export function isShared(filter: string): boolean {
  return filter.charCodeAt(0) === 36 && filter.startsWith('$share/');
}

/**
 * The parts of a Shared Subscription's filter `$share/{ShareName}/{filter}` (§4.8.2).
 *
 * @returns undefined if `filter` does not start with `$share/`; 'invalid' if its ShareName is empty
 *   or has a wildcard [MQTT-4.8.2-1] [MQTT-4.8.2-2], or its Topic Filter is missing or not valid
 */
export function parseShare(
  filter: string,
): { shareName: string; filter: string } | 'invalid' | undefined {
  if (!filter.startsWith('$share/')) return undefined;
  const slash = filter.indexOf('/', 7);
  if (slash < 0) return 'invalid';
  const shareName = filter.slice(7, slash);
  const inner = filter.slice(slash + 1);
  if (shareName === '' || hasWildcard(shareName) || !isTopicFilter(inner)) return 'invalid';
  return { shareName, filter: inner };
}

/**
 * Whether a valid Topic Filter matches a valid Topic Name: the plain reading of §4.7, and the oracle
 * that the topic tree is tested against.
 */
export function matches(filter: string, topic: string): boolean {
  // [MQTT-4.7.2-1]: a leading wildcard does not match a topic that begins with $.
  if (topic.startsWith('$') && (filter.startsWith('#') || filter.startsWith('+'))) return false;
  const wanted = filter.split('/');
  const given = topic.split('/');
  for (const [i, level] of wanted.entries()) {
    // `#` also matches the parent of its level: a/# matches a (§4.7.1.2).
    if (level === '#') return true;
    if (i >= given.length) return false;
    if (level !== '+' && level !== given[i]) return false;
  }
  return wanted.length === given.length;
}
