/**
 * A packet that breaks the specification: the peer's fault, answered by closing its connection.
 *
 * `reasonCode` is what MQTT 5 names for it: 0x81 Malformed Packet where the bytes cannot be parsed,
 * 0x82 Protocol Error where they parse into something forbidden, and a code of its own for a wrong
 * protocol version, Client Identifier or Topic Name.
 */
export class MalformedPacket extends Error {
  readonly reasonCode: number;
  /** The version to answer in, once the CONNECT that failed has told it; 4 until then. */
  readonly protocolVersion: number;

  constructor(reasonCode: number, message: string, protocolVersion = 4) {
    super(message);
    this.name = 'MalformedPacket';
    this.reasonCode = reasonCode;
    this.protocolVersion = protocolVersion;
  }
}
