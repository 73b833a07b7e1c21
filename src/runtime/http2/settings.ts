/**
 * SETTINGS: this side's, and what of the other side's concerns a server.
 *
 * Source: RFC 9113, section 6.5.
 *
 * @module
 */

import { ConnectionFault, ErrorCode, protocolFault } from "./error_code.ts";
import { FRAME_BYTES_MAX, putUint32, readUint32, Setting, WINDOW_MAX } from "./frame.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Bytes of one setting. */
const SETTING_BYTES = 6;
const FRAME_BYTES_LIMIT = 16_777_215;

/** Who is told what a client wants. */
export interface SettingsSink {
  /** A setting came, whatever it says. */
  onSetting(): void;
  /** The largest table for header fields that the client keeps. */
  onTableBytes(sizeBytes: number): void;
  /** The window that each stream begins with, those included that are open. */
  onStreamWindow(sizeBytes: number): void;
}

/** The payload of a SETTINGS frame. */
export function encodeSettings(settings: readonly (readonly [number, number])[]): Bytes {
  const payload = new Uint8Array(settings.length * SETTING_BYTES);
  let at = 0;
  for (const [id, value] of settings) {
    payload[at + 1] = id;
    at = putUint32(payload, at + 2, value);
  }
  return payload;
}

/**
 * Reads a payload whose length is a multiple of six; unknown settings are passed over.
 *
 * @throws {ConnectionFault} If a value is none that its setting can have.
 */
export function readSettings(payload: Uint8Array, sink: SettingsSink): void {
  for (let at = 0; at < payload.length; at += SETTING_BYTES) {
    const id = ((payload[at] ?? 0) << 8) | (payload[at + 1] ?? 0);
    sink.onSetting();
    readSetting(id, readUint32(payload, at + 2), sink);
  }
}

function readSetting(id: number, value: number, sink: SettingsSink): void {
  switch (id) {
    case Setting.headerTableSize:
      return sink.onTableBytes(value);
    case Setting.enablePush:
      if (value > 1) throw protocolFault("ENABLE_PUSH is neither 0 nor 1");
      return;
    case Setting.initialWindowSize:
      if (value <= WINDOW_MAX) return sink.onStreamWindow(value);
      throw new ConnectionFault(ErrorCode.flowControlError, "a window is too wide");
    case Setting.maxFrameSize:
      if (value >= FRAME_BYTES_MAX && value <= FRAME_BYTES_LIMIT) return;
      throw protocolFault("MAX_FRAME_SIZE is none");
  }
}
