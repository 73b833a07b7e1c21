/**
 * A node under mixed load for as long as one likes:
 *
 *     SEED=7 deno task soak            # 30 minutes
 *     … tests/soak/kv_soak.ts --minutes=3
 *
 * Ends with a verdict, and with status 1 if anything was wrong.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { soak } from "../support/kv_soak_run.ts";
import { chosenSeed } from "../support/random.ts";

const { values } = parseArgs({ options: { minutes: { type: "string", default: "30" } } });
const minutes = Number(values.minutes);
if (!(minutes > 0)) throw new RangeError("Cannot soak: --minutes has to be a number above 0");
const encoder = new TextEncoder();
const print = (line: string): void => void Deno.stdout.writeSync(encoder.encode(`${line}\n`));
const complaints = await soak({ seed: chosenSeed(), minutes, print });
print(complaints.length === 0 ? "verdict: good" : `verdict: bad, ${complaints.length} complaints`);
Deno.exit(complaints.length === 0 ? 0 : 1);
