/** Who a client is, and what it may do: asked between its CONNECT and the OPEN of its session. */
import type { Connect } from '../../mqtt/packet.ts';
import { ReasonCode } from '../../mqtt/reason-code.ts';
import type { Client } from './parts.ts';

/** @param done with 0, or the Reason Code to refuse the client with; once, perhaps at once */
export function admit(c: Client, connect: Connect, done: (reasonCode: number) => void): void {
  const { gate, env, counters } = c.port;
  const { username, password, will } = connect;
  const isNamed = username !== undefined || password !== undefined;
  if (isNamed && (gate?.open ?? true)) c.clients.noteCredentials(c.clientId, c.socket.remote);
  if (!gate) return done(0);
  const { certificate, remote } = c.socket;
  const credentials = {
    clientId: c.clientId,
    username,
    password,
    address: addressOf(remote),
    certificate,
  };
  gate.admit(credentials, (admission) => {
    if (!('rights' in admission)) {
      counters.authenticationFailures++;
      const { clientId, version, socket } = c;
      env.log('debug', 'client not admitted', {
        clientId,
        version,
        remote: socket.remote,
        why: admission.why,
      });
      return done(admission.reasonCode);
    }
    const { rights } = admission;
    if (will && !rights.mayPublish(will.topic, will.qos, will.retain)) {
      counters.authorizationFailures++;
      return done(ReasonCode.NotAuthorized);
    }
    c.rights = rights;
    done(0);
  });
}

/** IP address of HOST:PORT or [HOST]:PORT; a unix socket has its path. */
export function addressOf(remote: string): string {
  const at = remote.lastIndexOf(':');
  const host = at < 0 || remote.startsWith('unix:') ? remote : remote.slice(0, at);
  return host.replace(/^\[(.*)\]$/, '$1');
}
