/** How a listener of each transport is started: which layers stand between its sockets and MQTT. */
import { listenAddress } from '../../address.ts';
import type { ListenerConfig } from '../../config-listener.ts';
import { offerOf } from '../../config-listener-offer.ts';
import type { ListenerRules } from '../../ports.ts';
import type { Place } from './bind.ts';
import { PLAIN_STREAM, type StreamKind } from './byte-stream.ts';
import type { Listener, ListenerOptions } from './listener.ts';
import type { Layer } from './openings.ts';
import { proxyLayer } from './proxy.ts';
import { SocketListener } from './socket-listener.ts';
import { TLS_STREAM, TlsLayer } from './tls.ts';
import { WebSocketLayer } from './websocket.ts';

/** A WebSocket in the clear writes as its socket does, and answers so that no empty frame has to ask. */
const WS_STREAM: StreamKind = { answersWrites: true, copies: false };

/** Protocols by ALPN: MQTT's, and that of the request that becomes a WebSocket. */
const MQTT_PROTOCOLS = ['mqtt'];
const HTTP_PROTOCOLS = ['http/1.1'];

/**
 * @throws BROKER_ERR_ADDRESS_IN_USE, BROKER_ERR_ADDRESS_UNUSABLE, BROKER_ERR_TLS_FILE
 */
export async function startListener(
  config: ListenerConfig,
  options: ListenerOptions,
): Promise<Listener> {
  const { name, transport, proxyFrom = [] } = config;
  const place = placeOf(config);
  const layers: Layer[] = proxyFrom.length > 0 ? [proxyLayer(proxyFrom)] : [];
  const isWeb = transport === 'ws' || transport === 'wss';
  const tls =
    transport === 'tls' || transport === 'wss' ? await startTls(config, options, isWeb) : null;
  if (tls !== null) layers.push(tls.layer);
  const { path = '/mqtt', origins = [] } = config;
  const rules = rulesOf(config);
  const maxPacketBytes = rules.maxPacketBytes ?? options.maxPacketBytes ?? 1_114_112;
  const web = isWeb ? new WebSocketLayer({ settings: { path, origins }, maxPacketBytes }) : null;
  try {
    return await SocketListener.start({
      ...options,
      name,
      place,
      layers,
      rules,
      ownConnectionsMax: config.maxConnections,
      kind: tls !== null ? TLS_STREAM : web !== null ? WS_STREAM : PLAIN_STREAM,
      ...(web === null ? {} : { finish: web.finish }),
      ...(tls === null ? {} : { onReload: () => tls.reload(), onClose: () => tls.close() }),
    });
  } catch (error) {
    tls?.close();
    throw error;
  }
}

/** Protocol levels as CONNECT has them [MQTT-3.1.2-2]. */
const LEVELS = { '3.1': 3, '3.1.1': 4, '5': 5 } as const;

function rulesOf(config: ListenerConfig): ListenerRules {
  const { name, maxPacketBytes } = config;
  const protocolVersions = config.protocolVersions?.map((version) => LEVELS[version]);
  return { name, maxPacketBytes, protocolVersions, ...offerOf(config) };
}

function placeOf({ name, transport, address, mode = '660', ipv6Only }: ListenerConfig): Place {
  if (transport === 'unix') return { path: address, mode: Number.parseInt(mode, 8) };
  // Whether it may be off loopback is a rule of the configuration.
  return { ...listenAddress(`mqtt.listeners ${name}`, address), ipv6Only };
}

function startTls(
  config: ListenerConfig,
  { log, opening }: ListenerOptions,
  isWeb: boolean,
): Promise<TlsLayer> {
  const { name, cert = [], key = [], clientCa } = config;
  const { clientCertificate = 'none', minVersion = 'TLSv1.2' } = config;
  return TlsLayer.start({
    name,
    settings: { cert, key, clientCa, clientCertificate, minVersion },
    protocols: isWeb ? HTTP_PROTOCOLS : MQTT_PROTOCOLS,
    ...(opening === undefined ? {} : { handshakeTimeoutMs: opening.handshakeTimeoutMs }),
    log,
  });
}
