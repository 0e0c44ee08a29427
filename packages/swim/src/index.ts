/**
 * SWIM membership with parts of Lifeguard: a pure core ({@link Swim}) and a runtime over UDP and
 * TCP.
 *
 * @module
 */
export {
  type AddressProblem,
  formatAddress,
  type HostPort,
  isLoopback,
  isWildcard,
  parseAddress,
  readAddress,
} from './address.ts';
export {
  type FlagSetting,
  type NumberSetting,
  type Settings,
  SWIM_PRESETS,
  SWIM_SETTINGS,
  type SwimConfig,
  type SwimConfigInput,
  type SwimPreset,
  type SwimSetting,
  swimConfig,
} from './config.ts';
export type { SwimCounters } from './core/counters.ts';
export type { HostOf, StableView, ViewChange } from './core/cut-detector.ts';
export type { Refusal, SwimEffect, SwimEvent, TimerTask } from './core/event.ts';
export type { UserEvent } from './core/event-codec.ts';
export {
  type MemberState,
  SWIM_MAGIC,
  type SwimMember,
  type VersionRange,
} from './core/message.ts';
export type { SwimOptions } from './core/options.ts';
export { Swim } from './core/swim.ts';
export type {
  Discovery,
  DiscoveryHost,
  Finder,
  HelloWrap,
} from './discovery/discovery.ts';
export { type DnsSeedsOptions, dnsSeeds } from './discovery/dns.ts';
export type { Hello } from './discovery/hello.ts';
export { type MulticastSeedsOptions, multicastSeeds } from './discovery/multicast.ts';
export { parseDiscovery } from './discovery/parse.ts';
export { type RangeSeedsOptions, rangeSeeds } from './discovery/range.ts';
export { staticSeeds } from './discovery/static.ts';
export { SWIM_ERRORS, SwimError, type SwimErrorCode } from './errors.ts';
export type { Clock, Random, SwimLog } from './ports.ts';
export { SwimAgent } from './runtime/agent.ts';
export type { SwimAgentOptions } from './runtime/agent-options.ts';
export { type ForeignStreams, socketTransport } from './runtime/bind.ts';
export type { KeyringOperations, SwimAgentCounters, SwimHandle } from './runtime/handle.ts';
export type { KeyringControl, KeyringResult } from './runtime/keyring-control.ts';
export type { MemberCallbacks } from './runtime/member-events.ts';
export type { Encryption } from './runtime/secure-transport.ts';
export { generateKey, type KeyInfo, Keyring, keyId, type RingKey } from './security/keyring.ts';
export {
  type Opened,
  SEAL_BYTES,
  type SealCounters,
  Sealer,
  type SealKind,
} from './security/sealer.ts';
export { MemoryHub } from './sim/memory.ts';
export type { ThreadSetup } from './thread/messages.ts';
export { SwimThread, type SwimThreadOptions } from './thread/swim-thread.ts';
export {
  type NoAnswer,
  PACKET_BYTES_MAX,
  type RequestDone,
  type Transport,
  type TransportHandlers,
  type TransportOpener,
  type TransportOptions,
} from './transport.ts';
