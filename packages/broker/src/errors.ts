/**
 * Every operating error that Shoal reports, in one table.
 *
 * Callers match `code`, never a message. A broken invariant is not in this table: it is an assertion
 * and ends the process with {@link BROKER_ERRORS}.BROKER_ERR_INTERNAL. docs/ERRORS.md is generated
 * from here, and a test keeps the two equal.
 */

/** What the table says of one code. */
export interface ErrorEntry {
  /** One sentence without a full stop; the detail follows it after a colon. */
  readonly message: string;
  /** Status of the admin API's answer; 500 where it says nothing. */
  readonly httpStatus?: number;
  /** Exit code of `shoal`, 10 to 99, each its own. */
  readonly exitCode: number;
  /** What an operator does about it, in full sentences. */
  readonly remedy: string;
}

/** Exit codes that are not errors of the table. */
export const EXIT_CODES = {
  ok: 0,
  /** A failure without a code, or of a command whose result is a verdict (`demo --once`). */
  failure: 1,
  /** A flag or an argument that the command does not take. */
  usage: 2,
  /** A second SIGINT during the drain. */
  interrupted: 130,
  /** A second SIGTERM during the drain. */
  terminated: 143,
} as const;

export const BROKER_ERRORS = {
  // Configuration: 10–19.
  BROKER_ERR_CONFIG_UNKNOWN_KEY: {
    message: 'The configuration has a key that does not exist',
    exitCode: 10,
    remedy: 'Correct or remove the key; `shoal config reference` lists all of them.',
  },
  BROKER_ERR_CONFIG_TYPE: {
    message: 'A configuration value has the wrong type',
    exitCode: 11,
    remedy: 'Give a value of the type named; `shoal config reference` shows types and defaults.',
  },
  BROKER_ERR_CONFIG_VALUE: {
    message: 'A configuration value is not allowed',
    exitCode: 12,
    remedy: 'Give a value within the range named; `shoal config reference` shows the ranges.',
  },
  BROKER_ERR_CONFIG_MISSING: {
    message: 'A configuration value is required and missing',
    exitCode: 13,
    remedy: 'Set the key in the file, the environment or by its flag.',
  },
  BROKER_ERR_CONFIG_CONFLICT: {
    message: 'Configuration values contradict each other',
    exitCode: 14,
    remedy: 'Change one of the keys named; `shoal config show` prints where each value came from.',
  },
  BROKER_ERR_CONFIG_FILE: {
    message: 'The configuration file cannot be read',
    exitCode: 15,
    remedy: 'Check the path, its permissions, and that it is YAML with a mapping at the top.',
  },

  // Addresses: 20–29.
  BROKER_ERR_ADDRESS_IN_USE: {
    message: 'The address is in use by another process',
    exitCode: 20,
    remedy: 'Stop the other process, or listen on another port; port 0 takes a free one.',
  },
  BROKER_ERR_ADDRESS_UNUSABLE: {
    message: 'The process cannot listen on the address',
    exitCode: 21,
    remedy:
      'Use an address of this machine, and a port above 1023 unless the process may bind lower.',
  },
  BROKER_ERR_ADDRESS_NOT_LOOPBACK: {
    message: 'The address is not on the loopback interface',
    exitCode: 22,
    remedy:
      'Listen on 127.0.0.1 or [::1]. For MQTT off loopback have clients asked who they are (--auth-required), or say that everybody who reaches the address may do everything (--insecure). The admin API listens on loopback only.',
  },
  BROKER_ERR_CLUSTER_KEY_REQUIRED: {
    message: 'The cluster address is not on the loopback interface, and there is no keyring',
    exitCode: 23,
    remedy:
      'Make a keyring with `shoal keyring generate --out FILE`, give the same file to every node, and start with --keyring FILE (cluster.keyringFile).',
  },
  BROKER_ERR_KEYRING_FILE: {
    message: 'The keyring file cannot be used',
    exitCode: 24,
    remedy:
      'Give a file from `shoal keyring generate --out FILE` that only its owner may read (chmod 600), or one that belongs to root and is readable for the group of the process.',
  },

  BROKER_ERR_TLS_FILE: {
    message: 'A certificate or key of a listener cannot be used',
    exitCode: 25,
    remedy:
      'Give PEM files that the process may read: in `cert` the certificate of the server and the chain above it, in `key` its private key without a passphrase, in `clientCa` the authorities of clients.',
  },

  // Data folder and disk: 30–39.
  BROKER_ERR_DATA_LOCKED: {
    message: 'The data folder is in use by another node',
    exitCode: 30,
    remedy: 'Stop the process that holds it, or give this node a folder of its own.',
  },
  BROKER_ERR_DATA_OTHER_NODE: {
    message: 'The data folder belongs to another node',
    exitCode: 32,
    remedy: 'Start with the node name that the folder was made for, or with an empty folder.',
  },
  BROKER_ERR_DATA_NEWER_FORMAT: {
    message: 'A newer version of Shoal wrote the data folder',
    exitCode: 33,
    remedy: 'Start the version that wrote it, or a newer one. The folder is unchanged.',
  },
  BROKER_ERR_DATA_PERMISSION: {
    message: 'Shoal cannot create or write the data folder',
    exitCode: 34,
    remedy: 'Give the user that runs Shoal read and write permission for the folder.',
  },
  BROKER_ERR_DISK_FULL: {
    message: 'The disk of the data folder is full',
    httpStatus: 507,
    exitCode: 35,
    remedy: 'Free space and start the node again; no acknowledged message is lost.',
  },
  BROKER_ERR_DISK_FAILED: {
    message: 'The disk of the data folder failed',
    exitCode: 36,
    remedy:
      'Check the disk (dmesg, smartctl). Shoal never retries a failed sync. Start the node on a sound disk, with an empty folder if need be: it catches up from the other copies.',
  },
  BROKER_ERR_CORRUPT_STORE: {
    message: 'The store in the data folder is damaged and cannot be opened',
    exitCode: 37,
    remedy:
      'Move the folder aside and start with an empty one and --join: the node catches up from the other copies. Keep the old folder until it has.',
  },
  BROKER_ERR_CORRUPT_RECORD: {
    message: 'A record in the store fails its checksum',
    exitCode: 38,
    remedy:
      'Move the folder aside and start with an empty one and --join: the node catches up from the other copies. With a single copy, restore a backup.',
  },

  BROKER_ERR_DATA_SHORT: {
    message: 'The data folder lost entries that this node acknowledged, and no other node has them',
    exitCode: 39,
    remedy:
      'Restore the newest copy of the folder. If there is none, start once with --accept-loss: the node goes on with the remaining entries, and the others are lost.',
  },

  BROKER_ERR_DATA_OLDER: {
    message: 'The data folder is an older copy: other nodes have seen a later run of it',
    exitCode: 58,
    remedy:
      'Start the node again: it returns as an empty copy and is filled from the others. If you restored all nodes and none has more, start each once with --accept-loss instead.',
  },

  // Cluster: 40–59.
  BROKER_ERR_JOIN_OTHER_CLUSTER: {
    message: 'The node to join belongs to another cluster',
    httpStatus: 409,
    exitCode: 41,
    remedy: 'Clusters never merge: join with an empty data folder, or correct cluster.join.',
  },
  BROKER_ERR_JOIN_SETTINGS: {
    message: 'The configuration of the node differs from the settings of the cluster that it joins',
    httpStatus: 409,
    exitCode: 57,
    remedy:
      'Remove the named keys from flags, environment and file, or give the values of the cluster. The founder fixed them, and a joiner takes them.',
  },
  BROKER_ERR_NODE_NAME_TAKEN: {
    message: 'A live member already has this node name',
    httpStatus: 409,
    exitCode: 42,
    remedy: 'Choose another node.name; names are unique within a cluster.',
  },
  BROKER_ERR_PEER_INCOMPATIBLE: {
    message: 'A peer speaks a protocol version that this node does not',
    exitCode: 43,
    remedy: 'Upgrade the older node; neighbouring versions work together, distant ones do not.',
  },
  BROKER_ERR_NODE_UNKNOWN: {
    message: 'The cluster has no member of this name',
    httpStatus: 404,
    exitCode: 44,
    remedy: 'See `shoal cluster status` for the names of the members.',
  },
  BROKER_ERR_NODE_LAST: {
    message: 'The last member of a cluster cannot be removed',
    httpStatus: 409,
    exitCode: 45,
    remedy: 'Add another node first, or stop this one: its data stays in its folder.',
  },
  BROKER_ERR_NODE_WOULD_BREAK_REPLICAS: {
    message: 'Removing the node would leave fewer copies than cluster.replicas asks for',
    httpStatus: 409,
    exitCode: 46,
    remedy: 'Add a node first, or repeat with --force to go on with fewer copies.',
  },
  BROKER_ERR_NODE_UNREACHABLE: {
    message: 'The node does not answer',
    httpStatus: 502,
    exitCode: 47,
    remedy:
      'Check that the node runs and that the others reach its cluster address. If its machine is gone for good, use `shoal node remove NAME --force`.',
  },
  BROKER_ERR_REMOVAL_UNKNOWN: {
    message: 'The node is not being removed',
    httpStatus: 404,
    exitCode: 49,
    remedy: 'Start with `shoal node remove NAME`.',
  },
  BROKER_ERR_NOT_READY: {
    message: 'The node does not serve yet',
    httpStatus: 503,
    exitCode: 50,
    remedy: 'Wait until /ready answers 200; its body says what the node waits for.',
  },
  BROKER_ERR_SHARD_UNAVAILABLE: {
    message: 'The shard has no leader within reach',
    httpStatus: 503,
    exitCode: 51,
    remedy:
      'Bring back the nodes that hold it (`shoal session explain ID` names them), or repair the network between them.',
  },
  BROKER_ERR_KEYRING_ABSENT: {
    message: 'The cluster runs without a keyring',
    httpStatus: 409,
    exitCode: 52,
    remedy: 'Move it to encryption first: see “Encryption between nodes” in OPERATIONS.',
  },
  BROKER_ERR_KEY_INVALID: {
    message: 'The text is not a keyring key',
    httpStatus: 400,
    exitCode: 53,
    remedy:
      'Give the whole line that `shoal keyring generate` prints; a keyring holds at most 16 keys.',
  },
  BROKER_ERR_KEY_MISSING: {
    message: 'Not every member has the key',
    httpStatus: 409,
    exitCode: 54,
    remedy:
      'Install it on all members first with `shoal keyring install`. `shoal keyring list` shows which members have it.',
  },
  BROKER_ERR_KEY_IN_USE: {
    message: 'A member uses the key, or does not answer',
    httpStatus: 409,
    exitCode: 55,
    remedy: 'Use another key everywhere first: `shoal keyring use ID`.',
  },
  BROKER_ERR_KEYRING_INCOMPLETE: {
    message: 'The keyring has not changed on every member',
    exitCode: 56,
    remedy: 'Fix the named members and run the command again: repeating it does no harm.',
  },

  // Sessions: 60–69.
  BROKER_ERR_SESSION_UNKNOWN: {
    message: 'There is no session with this Client Identifier',
    httpStatus: 404,
    exitCode: 60,
    remedy: 'See `shoal session list`; Client Identifiers are case-sensitive.',
  },
  BROKER_ERR_CLIENT_UNKNOWN: {
    message: 'No client with this Client Identifier is connected',
    httpStatus: 404,
    exitCode: 63,
    remedy:
      'See `shoal client list`; Client Identifiers are case-sensitive. `shoal session show ID` shows a session whose client is away.',
  },
  BROKER_ERR_SESSION_NOT_CONNECTED: {
    message: 'The session has no connection',
    httpStatus: 409,
    exitCode: 61,
    remedy: 'There is nothing to kick. `shoal session delete ID` ends the session itself.',
  },

  BROKER_ERR_SHARE_UNKNOWN: {
    message: 'There is no such Shared Subscription',
    httpStatus: 404,
    exitCode: 62,
    remedy: "See `shoal share list`. Give the whole Topic Filter, in quotes: '$share/NAME/FILTER'.",
  },

  BROKER_ERR_ACCESS_UNKNOWN: {
    message: 'There is no such user, role or ban',
    httpStatus: 404,
    exitCode: 64,
    remedy: 'See `shoal user list`, `shoal role list` or `shoal ban list`.',
  },
  BROKER_ERR_ACCESS_EXISTS: {
    message: 'There is such a user already',
    httpStatus: 409,
    exitCode: 65,
    remedy: 'Change it with `shoal user passwd` or `shoal user set`, or choose another name.',
  },

  // Admin API and command line: 70–79.
  BROKER_ERR_ADMIN_UNREACHABLE: {
    message: 'The admin API does not answer',
    exitCode: 70,
    remedy: 'Give the address of a running node with --admin URL or SHOAL_ADMIN.',
  },
  BROKER_ERR_ADMIN_PROTOCOL: {
    message: 'The answer does not come from a Shoal admin API',
    exitCode: 71,
    remedy:
      'Check that --admin names the admin address of a node, not its MQTT or cluster address.',
  },
  BROKER_ERR_REQUEST_INVALID: {
    message: 'The request is not valid',
    httpStatus: 400,
    exitCode: 72,
    remedy: 'Correct the field named.',
  },
  BROKER_ERR_ROUTE_UNKNOWN: {
    message: 'The admin API has no such route',
    httpStatus: 404,
    exitCode: 73,
    remedy: 'Use the same version of `shoal` as the node.',
  },
  BROKER_ERR_REQUEST_FOREIGN: {
    message: 'The request comes from another site',
    httpStatus: 403,
    exitCode: 75,
    remedy:
      'Use the admin API from this machine, by its loopback address, and not from a web page.',
  },
  BROKER_ERR_TIMEOUT: {
    message: 'The operation did not end in time',
    httpStatus: 504,
    exitCode: 74,
    remedy: 'It may still take effect: check the state before you try again.',
  },

  // The process itself: 80–89.
  BROKER_ERR_INTERNAL: {
    message: 'Shoal broke one of its own rules and stopped',
    httpStatus: 500,
    exitCode: 80,
    remedy: 'Please report it with the log. Starting the node again is safe.',
  },
  BROKER_ERR_MEMBERSHIP_ENDED: {
    message: 'The thread of membership ended unexpectedly',
    httpStatus: 500,
    exitCode: 81,
    remedy:
      'Start the node again; if it happens again, report it with the log, and run with `swim.thread: main` meanwhile.',
  },
} as const satisfies Record<string, ErrorEntry>;

/** A code of the table. */
export type BrokerErrorCode = keyof typeof BROKER_ERRORS;

/** True when `code` is one of the table: for codes that arrive as text (store, admin API). */
export function isBrokerErrorCode(code: string): code is BrokerErrorCode {
  return Object.hasOwn(BROKER_ERRORS, code);
}

/**
 * An operating error. `message` is the table's sentence and, after a colon, what this case adds.
 *
 * @example throw new BrokerError('BROKER_ERR_ADDRESS_IN_USE', 'mqtt.listen 127.0.0.1:1883', { cause })
 */
export class BrokerError extends Error {
  override readonly name = 'BrokerError';
  readonly code: BrokerErrorCode;
  /** What this case adds to the table's sentence; '' when it adds nothing. */
  readonly detail: string;

  constructor(code: BrokerErrorCode, detail = '', options?: { readonly cause?: unknown }) {
    const sentence = BROKER_ERRORS[code].message;
    super(
      detail === '' ? sentence : `${sentence}:${detail.startsWith('\n') ? '' : ' '}${detail}`,
      options,
    );
    this.code = code;
    this.detail = detail;
  }

  get remedy(): string {
    return BROKER_ERRORS[this.code].remedy;
  }

  /** Exit code of a process that this error ends. */
  get exitCode(): number {
    return BROKER_ERRORS[this.code].exitCode;
  }

  /** Status of the admin API's answer. */
  get httpStatus(): number {
    const entry: ErrorEntry = BROKER_ERRORS[this.code];
    return entry.httpStatus ?? 500;
  }
}

/**
 * Makes any thrown value a {@link BrokerError}: itself, or BROKER_ERR_INTERNAL with it as cause.
 * A `code` that is one of the table is kept, so that errors survive a thread or an HTTP hop.
 */
export function toBrokerError(thrown: unknown): BrokerError {
  if (thrown instanceof BrokerError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const code = (thrown as { code?: unknown } | null | undefined)?.code;
  if (typeof code === 'string' && isBrokerErrorCode(code)) {
    return new BrokerError(code, text, { cause: thrown });
  }
  return new BrokerError('BROKER_ERR_INTERNAL', text, { cause: thrown });
}
