/**
 * A process that saves an index again and again, for a test to kill.
 *
 *     deno run -A tests/support/vector_saver.ts DIRECTORY
 *
 * It prints `saving N` before save number N; each has 500 vectors more.
 *
 * @module
 */
import { directionOf } from "../../src/vectors/store/exact_graph_fixture.ts";
import { openIndex } from "./vector_index.ts";

const DIMS = 32;
const STEP = 500;

const directory = Deno.args[0];
if (directory === undefined) throw new Error("Cannot save: no directory was given");
const { index } = await openIndex({ dims: DIMS, builtin: false, directory });
let last = [...(await index.ids()).values()].flat().length;
for (let save = 1;; save++) {
  for (let id = last + 1; id <= last + STEP; id++) {
    index.add("s", id, { vector: directionOf(id, DIMS) });
  }
  last += STEP;
  await index.settled();
  await Deno.stdout.write(new TextEncoder().encode(`saving ${save}\n`));
  await index.save();
}
