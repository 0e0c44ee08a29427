import assert from 'node:assert/strict';
import { ReasonCode } from '../mqtt/reason-code.ts';
import {
  type Admission,
  type Credentials,
  Gate,
  PASSWORD_BYTES_MAX,
  VERIFICATIONS_OF_ADDRESS_MAX,
} from './gate.ts';

const HASH = '$argon2id$of:';

/** Verifications wait until a test answers them; a password fits the hash that ends in it. */
function setUp(required = true) {
  const time = { wallMs: 1000 };
  const asked: { hash: string; answer: () => void }[] = [];
  const gate = new Gate({
    required,
    wallMs: () => time.wallMs,
    passwords: {
      verify: (hash, password, done) =>
        asked.push({ hash, answer: () => done(hash === HASH + Buffer.from(password).toString()) }),
    },
  });
  gate.loaded = true;
  const addUser = (name: string, password: string, more: object = {}) =>
    assert.equal(
      gate.directory.apply('user', name, { name, password: HASH + password, ...more }),
      undefined,
    );
  const admissions: Admission[] = [];
  const come = (username?: string, password?: string, more: Partial<Credentials> = {}) => {
    gate.admit(
      {
        clientId: 'c1',
        username,
        password: password === undefined ? undefined : Buffer.from(password),
        address: '192.0.2.1',
        certificate: undefined,
        ...more,
      },
      (admission) => admissions.push(admission),
    );
  };
  const answerAll = () => {
    for (const { answer } of asked.splice(0)) answer();
  };
  const codes = () =>
    admissions
      .splice(0)
      .map((a) => ('rights' in a ? `let in as ${a.rights.who.user}` : a.reasonCode));
  return { gate, time, asked, addUser, come, answerAll, codes };
}

describe('Gate', () => {
  it('lets in whom a password fits, and nobody else, in the same time', () => {
    const { addUser, come, answerAll, codes, asked } = setUp();
    addUser('ann', 'right');
    addUser('off', 'right', { enabled: false });
    come('ann', 'right');
    come('ann', 'wrong');
    come('nobody', 'right');
    come('off', 'right');
    assert.equal(asked.length, 4);
    answerAll();
    const wrong = ReasonCode.BadUserNameOrPassword;
    assert.deepEqual(codes(), ['let in as ann', wrong, wrong, wrong]);
  });

  it('refuses at once who gives no name, an empty one, no password or one that is too long', () => {
    const { addUser, come, codes, asked } = setUp();
    addUser('ann', 'right');
    come();
    come('', 'right');
    come('ann');
    come('ann', 'x'.repeat(PASSWORD_BYTES_MAX + 1));
    const wrong = ReasonCode.BadUserNameOrPassword;
    assert.deepEqual(codes(), [ReasonCode.NotAuthorized, wrong, wrong, wrong]);
    assert.equal(asked.length, 0);
  });

  it('lets everybody in while nobody is asked and there is no user', () => {
    const { gate, addUser, come, codes, answerAll } = setUp(false);
    assert.equal(gate.open, true);
    come('any', 'thing');
    come();
    assert.deepEqual(codes(), ['let in as ', 'let in as ']);
    addUser('ann', 'right');
    come();
    come('any', 'thing');
    answerAll();
    assert.deepEqual(codes(), ['let in as ', ReasonCode.BadUserNameOrPassword]);
  });

  it('knows nobody before the records are read', () => {
    const { gate, come, codes } = setUp();
    gate.loaded = false;
    come('ann', 'right');
    assert.deepEqual(codes(), [ReasonCode.ServerUnavailable]);
  });

  it('refuses a user who is gone, or has another password, by the time the old one is verified', () => {
    const { gate, addUser, come, codes, answerAll } = setUp();
    addUser('ann', 'right');
    come('ann', 'right');
    gate.directory.apply('user', 'ann', undefined);
    answerAll();
    assert.deepEqual(codes(), [ReasonCode.BadUserNameOrPassword]);
  });

  it('bounds what waits of one address, and serves others', () => {
    const { addUser, come, codes, asked, answerAll } = setUp();
    addUser('ann', 'right');
    for (let i = 0; i <= VERIFICATIONS_OF_ADDRESS_MAX; i++) come('ann', 'guess');
    assert.deepEqual(codes(), [ReasonCode.ServerBusy]);
    come('ann', 'right', { address: '192.0.2.2' });
    assert.equal(asked.length, VERIFICATIONS_OF_ADDRESS_MAX + 1);
    answerAll();
    assert.equal(codes().at(-1), 'let in as ann');
    come('ann', 'right');
    answerAll();
    assert.deepEqual(codes(), ['let in as ann']);
  });

  it('keeps out who is banned, by client, user and address, until the ban is over', () => {
    const { gate, time, addUser, come, codes, answerAll } = setUp();
    addUser('ann', 'right');
    const ban = (kind: string, value: string, untilMs = 0) =>
      gate.directory.apply('ban', `${kind}:${value}`, { kind, value, untilMs });
    ban('client', 'bad');
    ban('address', '192.0.2.9');
    ban('user', 'ann', 2000);
    come('ann', 'right', { clientId: 'bad' });
    come('ann', 'right', { address: '192.0.2.9' });
    come('ann', 'right');
    assert.deepEqual(codes(), [ReasonCode.Banned, ReasonCode.Banned, ReasonCode.Banned]);
    time.wallMs = 2001;
    come('ann', 'right');
    answerAll();
    assert.deepEqual(codes(), ['let in as ann']);
  });
});

describe('Rights', () => {
  it('follow the records: rules, roles, and whether the user is still there', () => {
    const { gate, addUser, come, answerAll } = setUp();
    addUser('ann', 'right', { roles: ['r'] });
    let admission: Admission | undefined;
    gate.admit(
      {
        clientId: 'c1',
        username: 'ann',
        password: Buffer.from('right'),
        address: 'a',
        certificate: undefined,
      },
      (a) => {
        admission = a;
      },
    );
    answerAll();
    assert.ok(admission && 'rights' in admission);
    const { rights } = admission;
    assert.equal(rights.mayPublish('t', 0, false), false);
    const rules = [{ allow: true, action: 'all', topic: 't' }];
    gate.directory.apply('role', 'r', { name: 'r', rules });
    assert.equal(rights.mayPublish('t', 0, false), true);
    assert.equal(rights.mayReceive('t'), true);
    gate.directory.apply('role', 'r', undefined);
    assert.equal(rights.mayReceive('t'), false);
    assert.equal(rights.ended('a', 0), undefined);
    gate.directory.apply('ban', 'address:a', { kind: 'address', value: 'a' });
    assert.equal(rights.ended('a', 0), ReasonCode.AdministrativeAction);
    gate.directory.apply('ban', 'address:a', undefined);
    addUser('ann', 'other');
    assert.equal(rights.ended('a', 0), ReasonCode.NotAuthorized);
    come();
  });

  it('of a client without a name are everything, but for a role that says what it may do', () => {
    const { gate } = setUp(false);
    let admission: Admission | undefined;
    const credentials = {
      clientId: 'c1',
      username: undefined,
      password: undefined,
      address: 'a',
      certificate: undefined,
    };
    gate.admit(credentials, (a) => {
      admission = a;
    });
    assert.ok(admission && 'rights' in admission);
    const { rights } = admission;
    assert.equal(rights.mayPublish('anything', 2, true), true);
    gate.directory.apply('role', 'anonymous', { name: 'anonymous', rules: [] });
    assert.equal(rights.mayPublish('anything', 2, true), false);
    assert.equal(rights.maySubscribe('#', 0), false);
  });
});
