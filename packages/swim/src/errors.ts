/**
 * Every error this package reports, by its stable code.
 *
 * `message` is the sentence shown, `remedy` what the reader can do. Callers match `code`, never
 * the text.
 */
export const SWIM_ERRORS = {
  SWIM_ERR_ADDRESS_IN_USE: {
    message: 'The cluster address is in use by another process.',
    remedy: 'Stop that process, or listen on another port.',
  },
  SWIM_ERR_ADDRESS_INVALID: {
    message: 'The address cannot be used.',
    remedy:
      'Give HOST:PORT, with brackets around an IPv6 host; advertise one that peers can reach.',
  },
  SWIM_ERR_UNREACHABLE: {
    message: 'The address did not answer.',
    remedy: 'Check that the node runs there and that TCP and UDP reach its cluster address.',
  },
  SWIM_ERR_DATAGRAMS_LOST: {
    message: 'A member answers over TCP, but its datagrams or ours get lost.',
    remedy: 'Let UDP pass on the cluster port, both ways. Without it news travels slowly.',
  },
  SWIM_ERR_OTHER_CLUSTER: {
    message: 'The address belongs to another cluster; clusters never merge.',
    remedy: 'Join a node of the same cluster, or start over with an empty data folder.',
  },
  SWIM_ERR_NO_CLUSTER: {
    message: 'Neither side belongs to a cluster yet.',
    remedy: 'Join through a node that does.',
  },
  SWIM_ERR_VERSION: {
    message: 'The two sides speak no common version of the membership protocol.',
    remedy: 'Upgrade in steps: the old and the new version must overlap.',
  },
  SWIM_ERR_OWN_ADDRESS: {
    message: 'The address is the address of this node.',
    remedy: 'Give the address of another node.',
  },
  SWIM_ERR_NAME_TAKEN: {
    message: 'The name belongs to a member that is alive at another address.',
    remedy:
      'Give every node a name of its own. A node that moved joins once its former address is silent.',
  },
  SWIM_ERR_NAME_CLAIMED: {
    message: 'Another process wants the name of a member that is present.',
    remedy:
      'Give every node a name of its own. The member keeps its name until it is found dead or has left.',
  },
  SWIM_ERR_NAME_CONFLICT: {
    message: 'A process with the same name and a newer boot epoch is known to the cluster.',
    remedy: 'Give every node a name of its own; never run one data folder twice.',
  },
  SWIM_ERR_BOOT_EPOCH: {
    message:
      'The cluster knows a later start of this member: the member takes the next boot epoch.',
    remedy:
      'Find out whether its clock or its disk went back. Data of that later start may be missing.',
  },
  SWIM_ERR_INCARNATION: {
    message: 'This member cannot refute any more: its incarnation is at its maximum.',
    remedy:
      'Start it again: others believe its new boot epoch whatever they heard. Suspect a forgery.',
  },
  SWIM_ERR_BUSY: {
    message: 'Too many joins are under way.',
    remedy: 'Try again later.',
  },
  SWIM_ERR_META_TOO_LARGE: {
    message: 'The metadata of a member is limited to 512 bytes.',
    remedy: 'Shorten it.',
  },
  SWIM_ERR_EVENT_SIZE: {
    message: 'The name of an event takes 1 to 64 bytes, its payload at most 512.',
    remedy: 'Shorten it, or send where to find the rest.',
  },
  SWIM_ERR_EVENT_RATE: {
    message: 'This member broadcasts too many events.',
    remedy: 'Wait, combine several into one, or raise eventRateMax on every member.',
  },
  SWIM_ERR_MALFORMED: {
    message: 'The answer cannot be read.',
    remedy: 'Check that a node of the same software and version listens there.',
  },
  SWIM_ERR_CONFIG: {
    message: 'The configuration of membership is not valid.',
    remedy: 'Correct the option at the named path.',
  },
  SWIM_ERR_KEY_REQUIRED: {
    message: 'Without a key, membership stays on loopback.',
    remedy: 'Give a keyring, the same to every member, or listen on and advertise loopback only.',
  },
  SWIM_ERR_KEY_INVALID: {
    message: 'A key has 32 bytes.',
    remedy: 'Use a whole generated key.',
  },
  SWIM_ERR_KEY_MISSING: {
    message: 'The key is not on the keyring.',
    remedy: 'Install the key on every member first; list shows which member has which.',
  },
  SWIM_ERR_KEY_PRIMARY: {
    message: 'The key is in use.',
    remedy: 'Use another key everywhere, then remove this one.',
  },
  SWIM_ERR_KEY_UNKNOWN: {
    message: 'A message is sealed with a key that is not on this keyring.',
    remedy:
      'If a member sent it, the keys were rotated meanwhile: start this member with the present keys.',
  },
  SWIM_ERR_KEY_REFUSED: {
    message: 'The address takes connections but answers nothing that this key seals.',
    remedy:
      'Compare the keyrings; if the keys were rotated, start this member with the present ones.',
  },
  SWIM_ERR_CLEAR_REFUSED: {
    message: 'A message is not encrypted, and this member takes encrypted ones only.',
    remedy: 'Start every member with the same keyring.',
  },
  SWIM_ERR_KEYRING_FULL: {
    message: 'A keyring holds at most 16 keys.',
    remedy: 'Remove keys that are no longer used.',
  },
  SWIM_ERR_KEYRING_STORE: {
    message: 'The keyring could not be stored, so it did not change.',
    remedy: 'See the log of that member for the cause.',
  },
  SWIM_ERR_NO_KEYRING: {
    message: 'Membership runs without a keyring.',
    remedy: 'Start every member with a keyring first.',
  },
  SWIM_ERR_THREAD: {
    message: 'The thread of membership ended unexpectedly.',
    remedy: 'Restart the process; if it happens again, report the detail that follows.',
  },
  SWIM_ERR_DISCOVERY: {
    message: 'The way to discover nodes is not valid.',
    remedy: 'Write it as the detail shows.',
  },
  SWIM_ERR_STOPPED: {
    message: 'Membership was stopped.',
    remedy: 'Start it again.',
  },
} as const satisfies Record<string, { message: string; remedy: string }>;

/** Stable code of an error of this package. */
export type SwimErrorCode = keyof typeof SWIM_ERRORS;

/** An operating error; state is as before the call that threw it. */
export class SwimError extends Error {
  readonly code: SwimErrorCode;
  /** What exactly, without the table's sentence; may be empty. */
  readonly detail: string;

  /** @param detail what exactly, appended to the table's sentence. */
  constructor(code: SwimErrorCode, detail = '', options?: ErrorOptions) {
    super(detail === '' ? SWIM_ERRORS[code].message : `${SWIM_ERRORS[code].message} ${detail}`, {
      ...options,
    });
    this.name = 'SwimError';
    this.code = code;
    this.detail = detail;
  }
}
