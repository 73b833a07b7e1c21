/**
 * What stock clients ask in the end-to-end tests.
 *
 * @module
 */

/** A plain question. */
export const PROMPT = "What is a weir good for?";

/** A question that makes the simulated model call a tool, if it has one. */
export const WEATHER_PROMPT = "How is the weather in Zürich?";

/** Arguments of the weather tool. */
export const WEATHER_SCHEMA = {
  type: "object" as const,
  properties: {
    city: { type: "string" },
    days: { type: "integer", minimum: 1 },
  },
  required: ["city", "days"],
};

/** One transparent pixel as PNG. */
export const PIXEL_BASE64 =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/** The same as the URL that OpenAI clients send. */
export const PIXEL_URL = `data:image/png;base64,${PIXEL_BASE64}`;
