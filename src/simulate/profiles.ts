/**
 * How fast and how reliable a simulated backend is.
 *
 * @module
 */

/** The character of one simulated backend. */
export interface SimulatorProfile {
  /** A name for logs and the `owned_by` field of the model list. */
  readonly name: string;
  /** What `GET /v1/models` lists. Other names are answered too, unless `strictModels` is set. */
  readonly models: readonly string[];
  /** Median time from the response headers to the first token, in milliseconds. */
  readonly firstTokenMs: number;
  /** Median time between two tokens, in milliseconds. */
  readonly interTokenMs: number;
  /** Spread of both times: the deviation of their logarithm. 0 means no spread. */
  readonly jitter: number;
  /** Share of requests, 0 to 1, that fail at random with status 500 or 503. */
  readonly failureRate: number;
  /** Requests answered at a time; those beyond get status 429. No limit if left out. */
  readonly maxConcurrency?: number;
  /** Whether a model that is not listed gets status 404. Off if left out. */
  readonly strictModels?: boolean;
  /** Words in an answer unless the request says otherwise; derived from the prompt if left out. */
  readonly words?: number;
  /**
   * Whether the bytes of an answer are kept and sent again for an equal request.
   * Saves most of the simulator's CPU time in load tests; equal requests then
   * get equal ids and delays. Off if left out.
   */
  readonly preEncoded?: boolean;
}

/** No delays, no failures, bytes prepared once: for load tests. */
export const INSTANT_PROFILE: SimulatorProfile = {
  name: "instant",
  models: ["sim-instant"],
  firstTokenMs: 0,
  interTokenMs: 0,
  jitter: 0,
  failureRate: 0,
  preEncoded: true,
};

/** The demo's three backends: quick and reliable, middling, slow and flaky. */
export const DEMO_PROFILES: readonly [SimulatorProfile, SimulatorProfile, SimulatorProfile] = [
  {
    name: "swift",
    models: ["sim-swift"],
    firstTokenMs: 120,
    interTokenMs: 12,
    jitter: 0.25,
    failureRate: 0,
  },
  {
    name: "steady",
    models: ["sim-steady"],
    firstTokenMs: 350,
    interTokenMs: 25,
    jitter: 0.35,
    failureRate: 0.01,
  },
  {
    name: "shaky",
    models: ["sim-shaky"],
    firstTokenMs: 1_100,
    interTokenMs: 45,
    jitter: 0.6,
    failureRate: 0.15,
    maxConcurrency: 8,
  },
];

/** Every profile by name, for a command line that lets the user choose. */
export const PROFILES: ReadonlyMap<string, SimulatorProfile> = new Map(
  [INSTANT_PROFILE, ...DEMO_PROFILES].map((profile) => [profile.name, profile]),
);
