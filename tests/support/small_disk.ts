/**
 * A disk of a few MiB, in memory: soon full, and soon empty again.
 *
 * @module
 */

/** A mounted disk; unmounted at the end. */
export interface SmallDisk extends Disposable {
  /** Where it is. */
  readonly path: string;
  /** Writes a file that takes so much of it. */
  fill(sizeBytes: number): void;
  /** Takes all that is left of it, but for a page or so. */
  fillUp(): void;
  /** Gives back what `fill` and `fillUp` took. */
  empty(): void;
}

/** Why no disk can be mounted here, or `null`. */
export function whyNoSmallDisk(): string | null {
  if (Deno.build.os !== "linux") return "only Linux has tmpfs";
  if (Deno.uid() !== 0) return "only root may mount a disk";
  try {
    using _disk = smallDisk(64);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Mounts a disk. */
export function smallDisk(sizeKib: number): SmallDisk {
  const path = Deno.makeTempDirSync({ prefix: "weir-small-" });
  const ballast = (): string[] =>
    [...Deno.readDirSync(path)].map(({ name }) => name).filter((name) => name.startsWith("ballast"))
      .map((name) => `${path}/${name}`);
  try {
    run("mount", "-t", "tmpfs", "-o", `size=${sizeKib}k`, "tmpfs", path);
  } catch (error) {
    Deno.removeSync(path);
    throw error;
  }
  return {
    path,
    fill(sizeBytes) {
      Deno.writeFileSync(`${path}/ballast${ballast().length}`, new Uint8Array(sizeBytes));
    },
    fillUp() {
      using file = Deno.openSync(`${path}/ballast${ballast().length}`, {
        write: true,
        create: true,
      });
      try {
        for (;;) file.writeSync(new Uint8Array(4_096));
      } catch (error) {
        // There is no error class of its own for a full disk.
        if (!(error instanceof Error && /os error 28/.test(error.message))) throw error;
      }
    },
    empty() {
      for (const file of ballast()) Deno.removeSync(file);
    },
    [Symbol.dispose]() {
      run("umount", path);
      Deno.removeSync(path);
    },
  };
}

function run(command: string, ...args: string[]): void {
  const { success, stderr } = new Deno.Command(command, { args }).outputSync();
  if (!success) throw new Error(`Cannot ${command}: ${new TextDecoder().decode(stderr).trim()}`);
}
