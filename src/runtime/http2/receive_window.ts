/**
 * What a client may send on its whole connection.
 *
 * The window is wide and opened again with what came, whoever it was for: bodies
 * are bounded by the windows of their streams. It has a second use, see
 * {@linkcode ReceiveWindow.acknowledge}.
 *
 * Source: RFC 9113, section 5.2.
 *
 * @module
 */

import { ConnectionFault, ErrorCode } from "./error_code.ts";
import { FrameType, WINDOW_AT_FIRST } from "./frame.ts";
import type { FrameOutput } from "./frame_output.ts";

/** Wide enough that no network's delay makes it the limit. */
const WINDOW_BYTES = 16 * 1_048_576;
/** Windows sent only for their acknowledgement widen the window by no more than this. */
const SPARE_BYTES = 65_536;

/** The window of one connection. */
export class ReceiveWindow {
  readonly #output: FrameOutput;
  #leftBytes = WINDOW_AT_FIRST;

  /** Opens it wide, in `output`. */
  constructor(output: FrameOutput) {
    this.#output = output;
    this.#open(WINDOW_BYTES - WINDOW_AT_FIRST);
  }

  /**
   * Counts what came.
   *
   * @throws {ConnectionFault} If it is more than was allowed.
   */
  take(countedBytes: number): void {
    this.#leftBytes -= countedBytes;
    if (this.#leftBytes >= 0) return;
    throw new ConnectionFault(ErrorCode.flowControlError, "more was sent than allowed");
  }

  /**
   * Opens it again where it is time; and where a request is not complete and
   * nothing else is to be sent.
   *
   * A client that has small-packet delays turned on sends the rest of a body only
   * when what it sent before was acknowledged, and a system that has nothing to
   * send acknowledges 40 ms later. So something is sent at once.
   */
  acknowledge(isIncomplete: boolean): void {
    const missingBytes = WINDOW_BYTES - this.#leftBytes;
    const isWanted = isIncomplete && this.#output.size === 0;
    if (missingBytes >= WINDOW_BYTES / 2 || (isWanted && missingBytes > 0)) {
      this.#open(missingBytes);
    } else if (isWanted && missingBytes > -SPARE_BYTES) this.#open(1);
  }

  #open(increment: number): void {
    this.#leftBytes += increment;
    this.#output.putShort(FrameType.windowUpdate, 0, increment);
  }
}
