/**
 * The fast path: cutting frames out of the byte stream, PUBLISH and its acknowledgements, by hand
 * and without allocation. Everything else goes through codec.ts.
 */
export { decodePublishProperties, encodePublishProperties } from './codec-property.ts';
export { ackPacketId, ackReasonCode, parseAck } from './frame-ack.ts';
export {
  encodeAck,
  encodePublish,
  PINGRESP,
  patchDup,
  patchPacketId,
} from './frame-encode.ts';
export { PublishView, parsePublish } from './frame-publish.ts';
export { FrameReader, type FrameSink } from './frame-reader.ts';
