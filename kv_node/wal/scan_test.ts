import assert from "node:assert/strict";
import fc from "fast-check";
import { recordOf } from "./log_fixture.ts";
import { MemoryDisk } from "./memory_disk_fixture.ts";
import { encodeRecord, recordBytes, seedOf } from "./record.ts";
import { SegmentScanner } from "./scan.ts";
import { HEADER_BYTES } from "./segment.ts";

const SEGMENT_BYTES = 16_384;

/** A scanner with small windows, on zeros but for a record and one stray byte. */
function scannerOn(recordAt: number, strayAt: number | null): SegmentScanner {
  const bytes = new Uint8Array(SEGMENT_BYTES);
  const place = { seed: seedOf(1), offset: recordAt, batch: recordAt };
  encodeRecord(bytes, new DataView(bytes.buffer), recordAt, place, recordOf(1, 100));
  if (strayAt !== null) bytes[strayAt] = 1;
  const file = new MemoryDisk().open("a", "create");
  file.write(0, bytes);
  return new SegmentScanner(file, 1, SEGMENT_BYTES, 512);
}

Deno.test("SegmentScanner.findRecord finds a record behind any length of zeros and rubbish", () => {
  const size = recordBytes(100);
  const places = fc.integer({ min: HEADER_BYTES / 8 + 1, max: (SEGMENT_BYTES - size) / 8 });
  fc.assert(fc.property(places, fc.boolean(), fc.double({ noNaN: true, min: 0, max: 0.99 }), (
    place,
    isStray,
    where,
  ) => {
    const recordAt = place * 8;
    const stray = HEADER_BYTES + Math.floor(where * (recordAt - HEADER_BYTES));
    const scanner = scannerOn(recordAt, isStray ? stray : null);
    assert.equal(scanner.findRecord(HEADER_BYTES, -1), recordAt);
    assert.equal(scanner.findRecord(HEADER_BYTES, recordAt), null);
    assert.equal(scanner.findData(HEADER_BYTES), isStray ? stray : recordAt);
  }));
});

Deno.test("SegmentScanner.findData remembers zeros, and still finds what is in front of them", () => {
  const scanner = scannerOn(4_096, null);
  const end = 4_096 + recordBytes(100);
  assert.equal(scanner.findData(end), null);
  assert.equal(scanner.findData(end + 8), null);
  assert.equal(scanner.findData(HEADER_BYTES), 4_096);
});
