import { playPowerCuts } from "../../kv_node/wal/power_cut_fixture.ts";

/** `SEED=n` plays that one. */
const SEED = Deno.env.get("SEED");
const [FROM, TO] = SEED === undefined ? [1, 20_000] : [Number(SEED), Number(SEED)];

Deno.test("SegmentLog keeps all that it acknowledged through power cuts, over many schedules", async () => {
  for (let seed = FROM; seed <= TO; seed++) {
    await playPowerCuts(seed).catch((error) => {
      throw new Error(`SEED=${seed} replays it`, { cause: error });
    });
  }
});
