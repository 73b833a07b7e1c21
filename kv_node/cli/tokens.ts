/**
 * `kv tokens`: makes and revokes access tokens of a database.
 *
 * @module
 */
import { type Options, textOption } from "../../src/cli/arguments.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { DEFAULT_DATABASE } from "../registry/registry.ts";
import { openAdmin } from "./admin_client.ts";
import { attempt } from "./failures.ts";

/** Makes a token, or revokes one. */
export async function tokens(options: Options, terminal: Terminal): Promise<number> {
  const admin = openAdmin(options);
  const database = textOption(options, "database") ?? DEFAULT_DATABASE;
  const revoked = textOption(options, "revoke");
  const path = `/databases/${encodeURIComponent(database)}/tokens`;
  return await attempt(
    { what: "Cannot ask the node", permissions: admin.permission },
    async () => {
      if (revoked !== undefined) {
        await admin.call("DELETE", `${path}/${encodeURIComponent(revoked)}`);
        const line = `Revoked ${revoked} of ${database}`;
        terminal.print(options["json"] === true ? JSON.stringify({ database, revoked }) : line);
        return 0;
      }
      const { id, token } = await admin.call("POST", path) as { id: string; token: string };
      if (options["json"] === true) {
        terminal.print(JSON.stringify({ database, id, token }));
      } else {
        terminal.print(`id     ${id}`);
        terminal.print(`token  ${token}`);
        terminal.complain("The token is shown this once: the node keeps its digest only");
      }
      return 0;
    },
  );
}
