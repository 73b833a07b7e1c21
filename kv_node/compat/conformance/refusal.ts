/**
 * Refusals, as cases look at them.
 *
 * @module
 */
import assert from "node:assert/strict";

/**
 * Asserts that `run` throws or rejects with a `TypeError` that says this.
 *
 * Some stores refuse where a call is made, others where its promise is awaited.
 */
export async function refuses(run: () => Promise<unknown>, words: RegExp = /./): Promise<void> {
  const error = await errorOf(run);
  assert.ok(error instanceof TypeError, `TypeError expected, got: ${Deno.inspect(error)}`);
  assert.match(error.message, words);
}

/** Asserts that `run` throws or rejects with any kind of error that says this. */
export async function fails(run: () => Promise<unknown>, words: RegExp = /^/): Promise<void> {
  const error = await errorOf(run);
  assert.ok(error instanceof Error, `error expected, got: ${Deno.inspect(error)}`);
  assert.match(error.message, words);
}

/** What `run` throws or rejects with; `undefined` if it does neither. */
async function errorOf(run: () => Promise<unknown>): Promise<unknown> {
  try {
    await run();
  } catch (error) {
    return error;
  }
  return undefined;
}
