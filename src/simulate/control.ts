/**
 * What can be changed while a simulator runs, through `POST /control/config`.
 *
 * @module
 */

import { FAILOVER_TIMINGS, type FailoverTiming } from "./faults/failover_models.ts";
import { parseFaults } from "./faults/faults.ts";
import type { SimulatorProfile } from "./profiles.ts";
import { isObject, type JsonObject, optionalBoolean, wrongField } from "./requests/fields.ts";

/** A simulator's behaviour as it stands. */
export interface SimulatorSettings {
  /** How fast and reliable it is. */
  readonly profile: SimulatorProfile;
  /** Times of the `fb-` models. */
  readonly failoverTiming: FailoverTiming;
  /** The fault of requests that bring none; empty for none. */
  readonly fault: string;
  /** Whether answers differ from request to request. */
  readonly randomAnswers: boolean;
}

const KEYS = ["profile", "failoverTiming", "fault", "randomAnswers"];
const PROFILE_NUMBERS = ["firstTokenMs", "interTokenMs", "jitter", "failureRate", "words"];
const PROFILE_OTHERS = ["maxConcurrency", "strictModels", "preEncoded"];

/**
 * Settings with a change applied.
 *
 * @param change A JSON object; keys left out stay as they are.
 * @throws {Refusal} With status 400, naming the key that is unknown or wrong.
 */
export function applySettings(settings: SimulatorSettings, change: JsonObject): SimulatorSettings {
  for (const key of Object.keys(change)) {
    if (!KEYS.includes(key)) throw wrongField(key, `allowed are ${KEYS.join(", ")}`, "unknown_key");
  }
  const { profile, failoverTiming, fault, randomAnswers } = change;
  return {
    profile: profile === undefined ? settings.profile : changedProfile(settings.profile, profile),
    failoverTiming: failoverTiming === undefined
      ? settings.failoverTiming
      : changedTiming(settings.failoverTiming, failoverTiming),
    fault: fault === undefined ? settings.fault : checkedFault(fault),
    randomAnswers: randomAnswers === undefined
      ? settings.randomAnswers
      : optionalBoolean(change, "randomAnswers"),
  };
}

function checkedFault(fault: unknown): string {
  if (fault === null) return "";
  if (typeof fault !== "string") throw wrongField("fault", "expected a fault as text, or null");
  parseFaults(fault);
  return fault;
}

function changedProfile(profile: SimulatorProfile, change: unknown): SimulatorProfile {
  if (!isObject(change)) throw wrongField("profile", "expected an object");
  for (const [key, value] of Object.entries(change)) {
    if (PROFILE_NUMBERS.includes(key)) checkNumber(`profile.${key}`, value);
    else if (!PROFILE_OTHERS.includes(key)) {
      const allowed = [...PROFILE_NUMBERS, ...PROFILE_OTHERS].join(", ");
      throw wrongField(`profile.${key}`, `allowed are ${allowed}`, "unknown_key");
    }
  }
  const { maxConcurrency, strictModels, preEncoded, ...rest } = { ...profile, ...change };
  return {
    ...rest,
    ...(typeof maxConcurrency === "number" ? { maxConcurrency } : {}),
    ...(strictModels === true ? { strictModels } : {}),
    ...(preEncoded === true ? { preEncoded } : {}),
  };
}

function changedTiming(timing: FailoverTiming, change: unknown): FailoverTiming {
  if (change === "full" || change === "fast") return FAILOVER_TIMINGS[change];
  if (!isObject(change)) {
    throw wrongField("failoverTiming", 'expected "full", "fast" or an object of numbers');
  }
  for (const [key, value] of Object.entries(change)) {
    if (!Object.hasOwn(timing, key)) {
      const allowed = Object.keys(timing).join(", ");
      throw wrongField(`failoverTiming.${key}`, `allowed are ${allowed}`, "unknown_key");
    }
    checkNumber(`failoverTiming.${key}`, value);
  }
  return { ...timing, ...change };
}

function checkNumber(path: string, value: unknown): void {
  if (typeof value !== "number" || value < 0) throw wrongField(path, "expected a number from 0");
}
