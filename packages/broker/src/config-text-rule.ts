/**
 * Which strings of a client may have control characters and non-characters: MQTT advises against them, and
 * leaves it to the receiver to refuse them (§1.5.4). U+0000 is never allowed [MQTT-1.5.4-2].
 */
export const TextRule = {
  /** All. */
  Any: 0,
  /** All but names of topics: Topic Names, Topic Filters, Response Topics. */
  PlainNames: 1,
  /** None. */
  Plain: 2,
} as const;

export type TextRule = (typeof TextRule)[keyof typeof TextRule];
