/**
 * Whether system calls can be made to fail here.
 *
 * @module
 */

/** Why `strace` cannot inject errors here, or `null`. */
export function whyNoTracing(): string | null {
  try {
    const { success, stderr } = new Deno.Command("strace", {
      args: ["-f", "-qqq", "-o", "/dev/null", "-e", "inject=fdatasync:error=EIO", "true"],
    }).outputSync();
    return success ? null : new TextDecoder().decode(stderr).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "strace is not installed";
    throw error;
  }
}
