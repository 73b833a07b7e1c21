/**
 * Opens the local model of a folder, embeds one text and prints what came of it:
 * run by tests with exactly the permissions that it is said to need.
 *
 * @module
 */
import { createLocalModelEmbedder } from "../../src/embed/local_model.ts";
import { LocalModelError } from "../../src/embed/model_client.ts";
import { systemClock } from "../../src/runtime/clock.ts";

const [directory = "", text = ""] = Deno.args;

try {
  const embedder = await createLocalModelEmbedder({
    directory,
    clock: systemClock,
    onEvent: () => {},
  });
  const vectors = await embedder.embed([text], Infinity);
  embedder.close();
  print({ vectors: vectors.map((vector) => [...vector]) });
} catch (error) {
  if (!(error instanceof LocalModelError)) throw error;
  print({ problem: error.problem, message: error.message });
}

function print(result: unknown): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(result)}\n`));
}
