/**
 * What one client may do: rules in their order, the first that applies decides, and where none does the answer
 * is no.
 */
import { isWellFormedFilter, matches } from '../mqtt/topic.ts';
import type { Rule } from './records.ts';

/** Topics whose answer is remembered, of each kind. */
const REMEMBERED_MAX = 256;

interface Compiled {
  readonly rule: Rule;
  readonly filter: string;
}

/** Rules for one client, with its names in their places. */
export class Permissions {
  readonly #publish: readonly Compiled[];
  readonly #subscribe: readonly Compiled[];
  /** Whether any rule looks at QoS or RETAIN. */
  readonly #simple: boolean;
  readonly #published = new Map<string, boolean>();
  readonly #received = new Map<string, boolean>();

  constructor(rules: readonly Rule[], who: { readonly clientId: string; readonly user: string }) {
    const compiled = rules.flatMap((rule) => compile(rule, who) ?? []);
    this.#publish = compiled.filter(({ rule }) => rule.action !== 'subscribe');
    this.#subscribe = compiled.filter(({ rule }) => rule.action !== 'publish');
    this.#simple = this.#publish.every(
      ({ rule }) => rule.maximumQos === undefined && rule.retain === undefined,
    );
  }

  mayPublish(topic: string, qos: number, retain: boolean): boolean {
    if (!this.#simple) return decide(this.#publish, topic, qos, retain)?.allow ?? false;
    return remembered(this.#published, topic, this.#publish);
  }

  /** Whether a message of that topic may be sent to it. */
  mayReceive(topic: string): boolean {
    return remembered(this.#received, topic, this.#subscribe);
  }

  /**
   * Whether it may subscribe: the first rule that covers every topic of the filter decides. What a rule before
   * that denies in part is left out when messages are delivered.
   *
   * @param filter without what makes it that of a Shared Subscription
   */
  maySubscribe(filter: string, qos: number): boolean {
    return this.decides('subscribe', filter, qos, false)?.allow ?? false;
  }

  /** The rule that decides about a publish to a topic, or a subscription of a filter; undefined: none, so no. */
  decides(
    action: 'publish' | 'subscribe',
    topic: string,
    qos: number,
    retain: boolean,
  ): Rule | undefined {
    if (action === 'publish') return decide(this.#publish, topic, qos, retain);
    const covering = ({ rule, filter }: Compiled) =>
      applies(rule, qos, undefined) && covers(filter, topic);
    return this.#subscribe.find(covering)?.rule;
  }
}

/** Whatever its QoS and RETAIN. */
function remembered(
  known: Map<string, boolean>,
  topic: string,
  rules: readonly Compiled[],
): boolean {
  const held = known.get(topic);
  if (held !== undefined) return held;
  if (known.size >= REMEMBERED_MAX) known.clear();
  const answer = decide(rules, topic, 0, undefined)?.allow ?? false;
  known.set(topic, answer);
  return answer;
}

function decide(
  rules: readonly Compiled[],
  topic: string,
  qos: number,
  retain: boolean | undefined,
): Rule | undefined {
  const applying = ({ rule, filter }: Compiled) =>
    applies(rule, qos, retain) && matches(filter, topic);
  return rules.find(applying)?.rule;
}

/** A rule that allows does so up to its QoS, one that denies does so above none. */
function applies(rule: Rule, qos: number, retain: boolean | undefined): boolean {
  if (rule.maximumQos !== undefined && qos > rule.maximumQos) return false;
  return rule.retain === undefined || retain === undefined || rule.retain === retain;
}

const PLACES = /%[cu]/g;

/**
 * The names of a client must not widen a rule: one that is no level of a topic, as `#` or `a/b`, makes a rule
 * that allows void, and one that denies is about every name.
 */
function compile(rule: Rule, who: { clientId: string; user: string }): Compiled | undefined {
  let usable = true;
  const filter = rule.topic
    .split('/')
    .map((level) => {
      let isFit = true;
      const filled = level.replaceAll(PLACES, (place) => {
        const name = place === '%c' ? who.clientId : who.user;
        if (name === '' || /[+#/]/.test(name)) isFit = false;
        return name;
      });
      if (isFit) return filled;
      usable = false;
      return '+';
    })
    .join('/');
  if (!usable && rule.allow) return undefined;
  // A name that begins with $ in the first place: such topics are the server's own.
  if (filter !== rule.topic && filter.startsWith('$')) return undefined;
  return isWellFormedFilter(filter) ? { rule, filter } : undefined;
}

/** Whether every topic that `filter` matches is matched by `covering` too. */
export function covers(covering: string, filter: string): boolean {
  const wide = covering.split('/');
  const own = filter.split('/');
  // Leading wildcards do not match topics of the server's own [MQTT-4.7.2-1].
  if (own[0]!.startsWith('$') && (wide[0] === '#' || wide[0] === '+')) return false;
  for (const [i, level] of wide.entries()) {
    if (level === '#') return true;
    const other = own[i];
    if (other === undefined || other === '#') return false;
    if (level !== '+' && level !== other) return false;
  }
  return own.length === wide.length;
}
