/**
 * The tags by which entries are invalidated.
 *
 * Each kind has a prefix that no client can write, and a client's own tags carry
 * its tenant, so that nobody can invalidate what is not theirs.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** Length of a prompt's digest in its tag: 96 bits. */
const DIGEST_CHARACTERS = 16;

/** What a client calls a tag, as it stands on entries: `tag:<tenant>/<tag>`. */
export function clientTag(tenant: string, tag: string): string {
  // The slash of a tenant's name is escaped: else tenant "a/b" with tag "c" would be
  // tenant "a" with tag "b/c".
  return `tag:${tenant.replaceAll("%", "%25").replaceAll("/", "%2F")}/${tag}`;
}

/** The tag of all entries with this system prompt, of any tenant. */
export function prefixTag(systemText: string): string {
  const digest = createHash("sha256").update(systemText).digest("base64url");
  return `prefix:${digest.slice(0, DIGEST_CHARACTERS)}`;
}
