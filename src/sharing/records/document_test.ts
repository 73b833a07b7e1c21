import assert from "node:assert/strict";
import fc from "fast-check";
import { bodyOf, decodeHead, type EncodedDocument, encodeDocument } from "./document.ts";

const LONG = "größer 👋 ".repeat(20_000);

Deno.test("encodeDocument gives back fields and body, whole or in parts", () => {
  const bodies = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string({ unit: "grapheme", minLength: 1 }).map((text) =>
      `\ufeff${text}`.repeat(1 + 100_000 / (text.length + 1))
    ),
  );
  fc.assert(
    fc.property(fc.json(), bodies, (fields, body) => {
      const document = encodeDocument(fields, body);
      assert.ok(document !== null);
      for (const value of [document.head, ...document.parts]) assert.ok(value.length <= 61_440);
      const head = decodeHead(document.head);
      assert.ok(head !== null);
      assert.equal(head.fields, fields);
      assert.equal(head.partCount, document.parts.length);
      assert.equal(bodyOf(head, document.parts), body);
    }),
    { numRuns: 50 },
  );
});

Deno.test("encodeDocument keeps a short body in the head and refuses fields without end", () => {
  assert.equal(encodeDocument("{}", "short")?.parts.length, 0);
  assert.equal(encodeDocument("{}", LONG)?.parts.length, 5);
  assert.equal(encodeDocument("f".repeat(61_440), ""), null);
});

Deno.test("bodyOf notices every changed byte, wherever it is", () => {
  const flipped = fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 }));
  for (const body of ["a short answer", LONG]) {
    const document = encoded(body);
    const values = [document.head, ...document.parts];
    fc.assert(
      fc.property(fc.nat(values.length - 1), flipped, (which, [where, bits]) => {
        const copies = values.map((value) => value.slice());
        const value = copies[which] ?? new Uint8Array();
        const place = where % value.length;
        value[place] = (value[place] ?? 0) ^ bits;
        const [head, ...parts] = copies;
        const read = decodeHead(head);
        assert.equal(read === null ? null : bodyOf(read, parts), null);
      }),
      { numRuns: 300 },
    );
  }
});

Deno.test("bodyOf takes no parts but its own, all of them, in order", () => {
  const { head, parts } = encoded(LONG);
  const other = encoded(LONG.replaceAll("ö", "ä"));
  const read = decodeHead(head);
  assert.ok(read !== null);
  const [first, second, ...rest] = parts;
  const wrong = [
    [],
    parts.slice(1),
    parts.slice(0, -1),
    [...parts, new Uint8Array()],
    [second, first, ...rest],
    [first, null, ...rest],
    [first, "text", ...rest],
    other.parts,
  ];
  for (const some of wrong) assert.equal(bodyOf(read, some), null);
  assert.equal(bodyOf(read, parts), LONG);
});

Deno.test("decodeHead takes nothing that is no head", () => {
  const { head } = encoded("body");
  const text = new TextDecoder().decode(head);
  const wrong = [
    null,
    "text",
    new Uint8Array(),
    head.subarray(0, 20),
    new TextEncoder().encode(text.replace("weir1", "weir2")),
    new TextEncoder().encode(text.replace(" 0 4\n", " -1 4\n")),
    new TextEncoder().encode(text.replace(" 0 4\n", " 1e9 4\n")),
    new TextEncoder().encode(text.replace(" 0 4\n", " 0 4 5\n")),
  ];
  for (const value of wrong) assert.equal(decodeHead(value), null);
});

function encoded(body: string): EncodedDocument {
  const document = encodeDocument('{"a":1}', body);
  assert.ok(document !== null);
  return document;
}
