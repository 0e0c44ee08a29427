import { connect } from 'node:net';
import { readAddress } from '@shoal/swim';

const PATIENCE_MS = 2000;

const WHYS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there (connection refused)',
  ENOTFOUND: 'the name is not known',
  EAI_AGAIN: 'the name server does not answer',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
};

/** Why a connection to HOST:PORT fails; '' where one succeeds. */
export function whyUnreachable(address: string): Promise<string> {
  const to = readAddress(address);
  if ('problem' in to) return Promise.resolve(to.problem);
  return new Promise((resolve) => {
    const socket = connect({ host: to.host, port: to.port, timeout: PATIENCE_MS });
    const end = (why: string) => {
      socket.destroy();
      resolve(why);
    };
    socket.on('connect', () => end(''));
    socket.on('timeout', () => end(`no answer within ${PATIENCE_MS / 1000} s`));
    socket.on('error', ({ code, message }: NodeJS.ErrnoException) =>
      end(WHYS[code ?? ''] ?? code ?? message),
    );
  });
}
