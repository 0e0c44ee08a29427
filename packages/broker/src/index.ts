/** The public door of the broker. */

export type { Ban, Role, Rule, User } from './access/records.ts';
export type {
  ClusterSettings,
  GivenSettings,
  SettingDrift,
  SettingName,
} from './cluster-settings.ts';
export {
  type Config,
  ConfigError,
  type ConfigInput,
  type ConfigProblem,
  type FlagValue,
  givenSettings,
  type ResolvedConfig,
  resolveConfig,
  resolveConfigWithOrigins,
  swimSettings,
} from './config.ts';
export type { ListenerConfig } from './config-listener.ts';
export { configReference } from './config-reference.ts';
export {
  type ConfigKey,
  type ConfigSection,
  configJsonSchema,
  configSections,
} from './config-schema.ts';
export { type Counters, createCounters, LatencyHistogram } from './counters.ts';
export type {
  AccessAnswer,
  AccessBackend,
  AccessQuestion,
  UserChange,
  UserReport,
} from './edge/admin/access-backend.ts';
export { type AdminApi, type AdminApiOptions, startAdminApi } from './edge/admin/admin-api.ts';
export type * from './edge/admin/admin-backend.ts';
export { BrokerMetrics, type MetricsSource } from './edge/admin/metrics.ts';
export type { SwimSource } from './edge/admin/metrics-swim.ts';
export {
  checkKeyring,
  generateKeyText,
  type KeyringKeys,
  keyIdOf,
  parseKey,
  readKeyring,
  writeKeyring,
} from './edge/store/keyring-file.ts';
export {
  BROKER_ERRORS,
  BrokerError,
  type BrokerErrorCode,
  type ErrorEntry,
  EXIT_CODES,
  isBrokerErrorCode,
  toBrokerError,
} from './errors.ts';
export { startNode } from './main.ts';
export type * from './ports.ts';
export type { NodeHooks, ReadyReport, RunningNode, StartOptions } from './process/running-node.ts';
