/**
 * `check`: all that can be known of a configuration without serving it.
 *
 * @module
 */
import { credentialHeaders, modelsUrl } from "../backends/endpoint.ts";
import type { BackendConfig, Config } from "../config/schema.ts";
import { type Upstream, UpstreamError } from "../ports.ts";
import { systemClock } from "../runtime/clock.ts";
import { FetchUpstream } from "../runtime/upstream_fetch.ts";
import { SocketUpstream } from "../runtime/upstream_socket.ts";
import { type Options, textOption } from "./arguments.ts";
import { systemRefusal } from "./command_error.ts";
import { backendAddress, serveCommand, serveFlags } from "./permissions.ts";
import {
  CONFIG_FILE,
  type LoadedConfig,
  loadSecrets,
  readConfig,
  withAddresses,
} from "./read_config.ts";
import type { Terminal } from "./terminal.ts";

/** Longest list of models that is read. */
const LIST_BYTES_MAX = 8 * 1_024 * 1_024;

/** Checks a file, and with `--live` its backends; 0 if all is well, 1 if not. */
export async function check(options: Options, terminal: Terminal): Promise<number> {
  const file = textOption(options, "config") ?? CONFIG_FILE;
  const config = withAddresses(readConfig(file), options);
  if (options["flags"] !== undefined) {
    terminal.print(serveFlags(config, file).join("\n"));
    return 0;
  }
  const { backends, models } = config;
  const size = `${counted(backends.length, "backend")}, ${counted(models.length, "model")}`;
  terminal.print(`${file} is valid: ${size}\n`);
  const command = serveCommand(config, file, givenAddresses(options));
  terminal.print(`Serve it with exactly these permissions:\n  ${command}`);
  if (options["live"] === undefined) return 0;

  terminal.print("");
  const loaded = loadSecrets(config);
  const upstream = upstreamFor(loaded);
  const reports = await Promise.all(
    loaded.config.backends.map((backend) => askBackend(backend, loaded, upstream)),
  );
  upstream.close();
  for (const { isWell, line } of reports) {
    (isWell ? terminal.print : terminal.complain)(line);
  }
  return reports.every(({ isWell }) => isWell) ? 0 : 1;
}

/** The address flags as they were given, so that the printed command has them too. */
function givenAddresses(options: Options): string[] {
  return ["host", "port", "admin-host", "admin-port"].flatMap((name) => {
    const value = textOption(options, name);
    return value === undefined ? [] : [`--${name}=${value}`];
  });
}

function upstreamFor({ config, caCertificates }: LoadedConfig): Upstream {
  return config.transport === "fetch"
    ? new FetchUpstream({ caCerts: caCertificates })
    : new SocketUpstream({ clock: systemClock, caCerts: caCertificates });
}

interface Report {
  readonly isWell: boolean;
  readonly line: string;
}

/** Asks one backend for its models and compares them with those that are configured. */
async function askBackend(
  backend: BackendConfig,
  loaded: LoadedConfig,
  upstream: Upstream,
): Promise<Report> {
  const failed = (why: string): Report => ({
    isWell: false,
    line: `${backend.name}: ${why}`,
  });
  try {
    const { status, text } = await readModels(backend, loaded, upstream);
    if (status !== 200) {
      return failed(`answers ${status} when asked for its models`);
    }
    const offered = modelIds(text);
    if (offered === null) {
      return failed("answers 200, but not with a list of models");
    }

    // Azure's targets name deployments, which its list of models does not know.
    const wanted = backend.protocol === "azure" ? [] : modelsOf(loaded.config, backend.name);
    const missing = wanted.filter((model) => !offered.includes(model));
    if (missing.length > 0) {
      return failed(`does not list ${missing.join(", ")}`);
    }
    return {
      isWell: true,
      line: `${backend.name}: answers, with ${counted(offered.length, "model")}`,
    };
  } catch (error) {
    if (error instanceof UpstreamError) return failed(error.message);
    const place = backendAddress(backend.baseUrl);
    const why = systemRefusal(error, `--allow-net=${place}`);
    if (why === null) throw error;
    return failed(why);
  }
}

async function readModels(
  backend: BackendConfig,
  { config, secrets }: LoadedConfig,
  upstream: Upstream,
): Promise<{ readonly status: number; readonly text: string }> {
  const { name, protocol, baseUrl, apiVersion, headers = {} } = backend;
  const own = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  const credential = credentialHeaders(protocol, secrets.get(name) ?? null)
    .filter(([name]) => !own.some(([other]) => other === name));
  const url = modelsUrl({
    protocol,
    baseUrl,
    ...(apiVersion === undefined ? {} : { apiVersion }),
  });
  const { connectSeconds, firstTokenSeconds } = config.timeouts;
  const call = upstream.start(
    { method: "GET", url, headers: [...credential, ...own], body: null },
    { connectMs: connectSeconds * 1_000 },
  );
  using _limit = systemClock.after(
    firstTokenSeconds * 1_000,
    () => call.cancel(),
  );
  const response = await call.response;
  const decoder = new TextDecoder();
  let text = "";
  for (
    let piece = await response.read();
    piece !== null;
    piece = await response.read()
  ) {
    text += decoder.decode(piece, { stream: true });
    if (text.length > LIST_BYTES_MAX) {
      call.cancel();
      break;
    }
  }
  return { status: response.status, text };
}

/** The `data[].id` that all three protocols answer with; `null` if it is something else. */
function modelIds(text: string): readonly string[] | null {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return null;
  }
  if (typeof list !== "object" || list === null || !("data" in list)) {
    return null;
  }
  if (!Array.isArray(list.data)) return null;
  return list.data.map((model: unknown) => {
    return typeof model === "object" && model !== null && "id" in model ? String(model.id) : "";
  });
}

function counted(count: number, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count} ${noun}s`;
}

function modelsOf(config: Config, backend: string): readonly string[] {
  const targets = config.models.flatMap((model) => model.targets);
  return targets.filter((target) => target.backend === backend).map((
    { model },
  ) => model);
}
