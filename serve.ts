/**
 * The gateway for platforms that bring their own server: `deno serve`, Deno Deploy.
 *
 *     WEIR_CONFIG=weir.yaml deno serve --port 8080 <permissions> serve.ts
 *
 * The platform listens and ends, so `listen`, `admin` and `shutdown` of the
 * configuration have no effect. With `--parallel` each thread balances by itself.
 *
 * @module
 */
import { loadGateway } from "./src/cli/platform.ts";

const gateway = await loadGateway(Deno.env.get("WEIR_CONFIG"));

/** What the platform calls. */
export default {
  fetch: (request) => gateway.fetch(request),
} satisfies Deno.ServeDefaultExport;
