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
    message: 'The address is the own one.',
    remedy: 'Give the address of another node.',
  },
  SWIM_ERR_NAME_CONFLICT: {
    message: 'A process with the same name and a newer boot epoch is known to the cluster.',
    remedy: 'Give every node a name of its own; never run one data folder twice.',
  },
  SWIM_ERR_BUSY: {
    message: 'Too many joins are under way.',
    remedy: 'Try again later.',
  },
  SWIM_ERR_META_TOO_LARGE: {
    message: 'The metadata of a member is limited to 512 bytes.',
    remedy: 'Say less.',
  },
  SWIM_ERR_MALFORMED: {
    message: 'The answer could not be understood.',
    remedy: 'Check that a node of the same software and version listens there.',
  },
  SWIM_ERR_CONFIG: {
    message: 'The configuration of membership is not valid.',
    remedy: 'See the path named.',
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

  /** @param detail what exactly, appended to the table's sentence. */
  constructor(code: SwimErrorCode, detail = '', options?: ErrorOptions) {
    super(detail === '' ? SWIM_ERRORS[code].message : `${SWIM_ERRORS[code].message} ${detail}`, {
      ...options,
    });
    this.name = 'SwimError';
    this.code = code;
  }
}
