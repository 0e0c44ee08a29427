/** Which stored sessions of a shard want a message, and what each of them asks of it. */
import type { Message } from '../../session/message.ts';
import type { Recipient } from '../../session/recipient.ts';
import type { Session, Subscription } from '../../session/session.ts';
import type { ShardState } from '../../session/shard-state.ts';
import { addWant, type Want, wantOf } from '../route/want.ts';

/**
 * Stored sessions that want the message at QoS 1 or 2, each once at its highest QoS, with what all of
 * their matching subscriptions ask for, those at QoS 0 too [MQTT-3.3.4-2, 3.3.4-4].
 */
export function matchStored(state: ShardState, message: Message): [Session, Recipient][] {
  const wants = new Map<Session, Want>();
  state.tree.match(message.topic, (sub: Subscription) => {
    const { session } = sub;
    if (sub.noLocal && session.clientId === message.publisher) return;
    // Published before the subscription was made and sent again since: not meant for it.
    if (message.hlc < sub.since) return;
    const held = wants.get(session);
    if (held) addWant(held, sub, message);
    else wants.set(session, wantOf(sub, message));
  });
  const recipients: [Session, Recipient][] = [];
  for (const [s, { qos, retain, identifiers }] of wants) {
    if (qos === 0) continue;
    const { clientId, birth } = s;
    recipients.push([s, { clientId, birth, qos, retain, identifiers }]);
  }
  return recipients;
}
