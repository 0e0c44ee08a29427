/** Filter → topic → verdict: a run has few of both, and checkers ask often. */
const known = new Map<string, Map<string, boolean>>();
/** Filters remembered; beyond it all are forgotten. */
const KNOWN_MAX = 10_000;

/** Whether a Topic Filter matches a Topic Name, by the letter of [MQTT-4.7]; no shared filters. */
export function filterMatches(filter: string, topic: string): boolean {
  let topics = known.get(filter);
  if (topics === undefined) {
    if (known.size >= KNOWN_MAX) known.clear();
    topics = new Map();
    known.set(filter, topics);
  }
  let verdict = topics.get(topic);
  if (verdict === undefined) {
    verdict = match(filter, topic);
    topics.set(topic, verdict);
  }
  return verdict;
}

function match(filter: string, topic: string): boolean {
  const wanted = filter.split('/');
  const levels = topic.split('/');
  // Leading wildcards do not match topics of the server's own [MQTT-4.7.2-1].
  if (topic.startsWith('$') && (wanted[0] === '#' || wanted[0] === '+')) return false;
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === '#') return true;
    if (i >= levels.length) return false;
    if (wanted[i] !== '+' && wanted[i] !== levels[i]) return false;
  }
  return wanted.length === levels.length;
}

/** Whether it is that of a Shared Subscription. */
export function isShared({ filter }: { readonly filter: string }): boolean {
  return filter.startsWith('$share/');
}

/** The Topic Filter of a Shared Subscription: `$share/name/filter` without what is before it. */
export function sharedFilter(filter: string): string {
  return filter.split('/').slice(2).join('/');
}
