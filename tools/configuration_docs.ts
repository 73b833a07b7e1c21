/**
 * Writes what is generated from the configuration's schema.
 *
 *     deno task docs:config
 *
 * @module
 */
import { configurationPage, jsonSchemaText } from "../src/config/json_schema.ts";

const DOCS = new URL("../docs/", import.meta.url);

Deno.writeTextFileSync(new URL("configuration.md", DOCS), configurationPage());
Deno.writeTextFileSync(new URL("weir.schema.json", DOCS), jsonSchemaText());
