/**
 * Text in pieces in, lines out.
 *
 * @module
 */

/** Splits text at line feeds; a last line without one counts too. */
export class TextLineStream extends TransformStream<string, string> {
  /** Begins with an empty line. */
  constructor() {
    let rest = "";
    super({
      transform(piece, controller) {
        const lines = (rest + piece).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) controller.enqueue(line);
      },
      flush(controller) {
        if (rest !== "") controller.enqueue(rest);
      },
    });
  }
}
