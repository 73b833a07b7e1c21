/**
 * Reads a configuration and the secrets it refers to, from disk and environment.
 *
 * @module
 */
import {
  resolveCredentials,
  type ResolvedConfig,
  type SecretReaders,
} from "../config/credentials.ts";
import { parseConfig } from "../config/load.ts";
import { ConfigError } from "../config/problems.ts";
import type { Config } from "../config/schema.ts";
import { type Options, portOption, textOption } from "./arguments.ts";
import { CommandError, systemRefusal } from "./command_error.ts";

/** A configuration ready to run. */
export interface LoadedConfig extends ResolvedConfig {
  /** The certificates that `caCertificates` names, as PEM text. */
  readonly caCertificates: readonly string[];
}

/** The file that is read where nobody names one. */
export const CONFIG_FILE = "weir.yaml";

/**
 * Reads and checks a configuration file.
 *
 * @throws {CommandError} If it cannot be read, or with all its problems.
 */
export function readConfig(file: string): Config {
  return reported(() => parseConfig(readFile(file), file));
}

/** The configuration with the addresses that the command line names. */
export function withAddresses(config: Config, options: Options): Config {
  const { listen, admin } = config;
  return {
    ...config,
    listen: {
      host: textOption(options, "host") ?? listen.host,
      port: portOption(options, "port") ?? listen.port,
    },
    admin: {
      ...admin,
      host: textOption(options, "admin-host") ?? admin.host,
      port: portOption(options, "admin-port") ?? admin.port,
    },
  };
}

/**
 * Fetches what a configuration refers to.
 *
 * @throws {CommandError} Naming every reference that leads nowhere.
 */
export function loadSecrets(config: Config): LoadedConfig {
  const resolved = reported(() => resolveCredentials(config, SYSTEM_READERS));
  return {
    ...resolved,
    caCertificates: (config.caCertificates ?? []).map(readFile),
  };
}

const SYSTEM_READERS: SecretReaders = {
  env(name) {
    try {
      return Deno.env.get(name);
    } catch (cause) {
      throw new Error(refusalText(cause, `--allow-env=${name}`), { cause });
    }
  },
  file(path) {
    try {
      return Deno.readTextFileSync(path);
    } catch (cause) {
      throw new Error(refusalText(cause, `--allow-read=${path}`), { cause });
    }
  },
};

/**
 * The text of a file.
 *
 * @throws {CommandError} If it cannot be read; the message names the permission it takes.
 */
export function readFile(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (cause) {
    const why = refusalText(cause, `--allow-read=${path}`);
    throw new CommandError(`Cannot read ${path}: ${why}`, { cause });
  }
}

/** Why the system refused; anything else is thrown on. */
function refusalText(cause: unknown, flag: string): string {
  const why = systemRefusal(cause, flag);
  if (why === null) throw cause;
  return why;
}

function reported<T>(run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    throw new CommandError(cause.message, { cause });
  }
}
