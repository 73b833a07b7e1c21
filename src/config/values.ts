/**
 * The kinds of value that settings are made of: ports, times, sizes, names.
 *
 * Each says under `allowed` in its metadata what a person may write, wherever a
 * range or a list of words does not say it already.
 *
 * @module
 */
import * as z from "zod";

/** Bytes in a MiB. */
export const MEBIBYTE = 1_024 * 1_024;

/** A time in seconds, fractions allowed. */
export function seconds(min: number, max: number, fallback: number): z.ZodDefault<z.ZodNumber> {
  return z.number().min(min).max(max).meta({ unit: "seconds" }).default(fallback);
}

/** A size in bytes. */
export function bytes(min: number, max: number, fallback: number): z.ZodDefault<z.ZodInt> {
  return z.int().min(min).max(max).meta({ unit: "bytes" }).default(fallback);
}

/** A TCP port. */
export function port(fallback: number): z.ZodDefault<z.ZodInt> {
  return z.int().min(0).max(65_535).default(fallback);
}

/** An address to listen on. */
export function host(fallback: string): z.ZodDefault<z.ZodString> {
  return z.string().regex(/^[A-Za-z0-9.:_-]{1,253}$/).meta({
    allowed: "a host name or an IP address without port",
  }).default(fallback);
}

/** A name that is also a metric label. */
export function backendName(): z.ZodString {
  return z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/).meta({
    allowed: "a name of up to 64 letters, digits, dots, dashes and underscores",
  });
}

/** A model name as clients write it. */
export function modelName(): z.ZodString {
  return z.string().regex(/^[!-~]{1,128}$/).meta({
    allowed: "a name of up to 128 printable ASCII characters without spaces",
  });
}

/** A model name as a backend knows it. */
export function upstreamModel(): z.ZodString {
  return z.string().regex(/^[^\p{Cc}]{1,256}$/u).meta({
    allowed: "a name of up to 256 characters without control characters",
  });
}

/** The hash of an API key. */
export function apiKeyDigest(): z.ZodString {
  return z.string().regex(/^[0-9a-fA-F]{64}$/).meta({
    allowed: "64 hex digits, the SHA-256 of the key and not the key itself",
  });
}

/** Where an API begins; slashes at the end are dropped. */
export function baseUrl(): z.ZodString {
  return z.string().refine(isBaseUrl).meta({
    allowed: "an absolute http:// or https:// URL without user, password, query and fragment",
    format: "uri",
  }).overwrite((url) => url.replace(/\/+$/, ""));
}

/** A path on this machine. */
export function filePath(): z.ZodString {
  return z.string().regex(/^[^\0]{1,4096}$/).meta({ allowed: "a path of up to 4096 characters" });
}

/** A reference to a secret. */
export function credentialReference(): z.ZodString {
  return z.string().regex(REFERENCE).meta({
    allowed: "a reference to the secret, env:NAME or file:PATH, and never the secret itself",
  });
}

/** What a reference to a secret looks like. */
export const REFERENCE: RegExp = /^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/;

function isBaseUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.hostname !== "" &&
    url.username === "" && url.password === "" && url.search === "" && url.hash === "";
}
