/** The public door of the broker. */

export {
  type Config,
  ConfigError,
  type ConfigInput,
  type ConfigProblem,
  type FlagValue,
  type ResolvedConfig,
  resolveConfig,
  resolveConfigWithOrigins,
} from './config.ts';
export { configReference } from './config-reference.ts';
export {
  type ConfigKey,
  type ConfigSection,
  configJsonSchema,
  configSections,
} from './config-schema.ts';
export {
  BROKER_ERRORS,
  BrokerError,
  type BrokerErrorCode,
  type ErrorEntry,
  EXIT_CODES,
  isBrokerErrorCode,
  toBrokerError,
} from './errors.ts';
export type * from './ports.ts';
