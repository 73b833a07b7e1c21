/**
 * `simulate`: one simulated backend, for testing clients against.
 *
 * @module
 */
import { PROFILES, type SimulatorProfile } from "../simulate/profiles.ts";
import { Refusal } from "../simulate/refusal.ts";
import { type Simulator, startSimulator } from "../simulate/server.ts";
import { didYouMean } from "../config/suggestion.ts";
import { type Options, portOption, textOption, UsageError } from "./arguments.ts";
import { CommandError, systemRefusal } from "./command_error.ts";
import { hostAndPort } from "../runtime/address.ts";
import { stopSignal } from "./stop_signal.ts";
import type { Terminal } from "./terminal.ts";

const PORT = 9_001;

/** Serves until a signal comes. */
export async function simulate(options: Options, terminal: Terminal): Promise<number> {
  const host = textOption(options, "host") ?? "127.0.0.1";
  const port = portOption(options, "port") ?? PORT;
  const name = textOption(options, "profile") ?? "swift";
  const profile = PROFILES.get(name);
  if (profile === undefined) {
    const names = [...PROFILES.keys()];
    const hint = didYouMean(name, names) || `; there are ${names.join(", ")}`;
    throw new UsageError(
      `Cannot simulate: there is no profile ${name}${hint}`,
      null,
    );
  }

  const fault = textOption(options, "fault") ?? "";
  const simulator = await start({ host, port, profile, fault });
  terminal.print(greeting(simulator.url, profile.models[0] ?? "sim"));
  await stopSignal();
  await simulator.close();
  return 0;
}

interface Wanted {
  readonly host: string;
  readonly port: number;
  readonly profile: SimulatorProfile;
  readonly fault: string;
}

async function start({ host, port, profile, fault }: Wanted): Promise<Simulator> {
  try {
    return await startSimulator({ hostname: host, port, profile, fault });
  } catch (cause) {
    if (cause instanceof Refusal) throw new UsageError(cause.message, null);
    const place = hostAndPort(host, port);
    const why = systemRefusal(cause, `--allow-net=${place}`);
    if (why === null) throw cause;
    throw new CommandError(`Cannot listen on ${place}: ${why}`, { cause });
  }
}

function greeting(url: string, model: string): string {
  return `Simulated backend on ${url}

  curl -N ${url}/chat/completions -H 'content-type: application/json' \\
    -d '{"model":"${model}","stream":true,"messages":[{"role":"user","content":"Hello"}]}'

A fault is written after the model's name, as in "${model}!cut=8" or "${model}!status=503,times=2",
or in the header x-sim-fault; see docs/simulator.md.`;
}
