/**
 * A gateway on a real socket, for end-to-end tests.
 *
 * @module
 */
import { checkConfig } from "../../src/config/load.ts";
import { createGateway, type Gateway, type GatewayPorts } from "../../src/gateway.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { serveHttp } from "../../src/runtime/http_server.ts";

/** A gateway that listens. */
export interface ServedGateway extends AsyncDisposable {
  /** Where clients connect, without a path. */
  readonly url: string;
  /** The gateway itself. */
  readonly gateway: Gateway;
  /** Log lines so far, parsed. */
  readonly log: Record<string, unknown>[];
  /** The metrics page now. */
  metrics(): Promise<string>;
  /** One sample of the metrics page, summed over all labels given; 0 where absent. */
  metric(
    name: string,
    labels?: Readonly<Record<string, string>>,
  ): Promise<number>;
}

/** Serves a gateway built from `config` on 127.0.0.1 and a free port. */
export function serveGateway(
  config: unknown,
  ports: Partial<GatewayPorts> = {},
): ServedGateway {
  const log: Record<string, unknown>[] = [];
  const gateway = createGateway(checkConfig(config), {
    writeLog: (line) => log.push(JSON.parse(line)),
    ...ports,
  });
  const server = serveHttp({
    host: "127.0.0.1",
    port: 0,
    clock: systemClock,
    handle: (request) => gateway.handle(request),
    refuse: (status, message) => gateway.refuse(status, message),
  });
  const metrics = async (): Promise<string> => {
    return await (await gateway.admin.fetch(
      new Request("http://admin/metrics"),
    )).text();
  };
  return {
    url: server.url,
    gateway,
    log,
    metrics,
    metric: async (name, labels = {}) => sumOf(await metrics(), name, labels),
    async [Symbol.asyncDispose]() {
      await gateway.close();
      await server.stop(1_000);
    },
  };
}

function sumOf(
  page: string,
  name: string,
  labels: Readonly<Record<string, string>>,
): number {
  let sum = 0;
  for (const line of page.split("\n")) {
    const match = /^([a-zA-Z_:]+)(?:\{(.*)\})? (\S+)/.exec(line);
    if (match === null || match[1] !== name) continue;
    const all = match[2] ?? "";
    const fits = Object.entries(labels).every(([key, value]) => all.includes(`${key}="${value}"`));
    if (fits) sum += Number(match[3]);
  }
  return sum;
}
