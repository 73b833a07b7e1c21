import assert from "node:assert/strict";
import { ConnectionFault, ErrorCode } from "./error_code.ts";
import { HpackDecoder } from "./hpack_decoder.ts";
import { block, type Fields, hex, joined } from "./http2_fixture.ts";
import { decodeHuffman, HUFFMAN_BITS, huffmanBoundBytes } from "./huffman.ts";
import { STATIC_TABLE, staticIndexOf } from "./static_table.ts";

function decode(decoder: HpackDecoder, bytes: Uint8Array): [string, string][] {
  const fields: [string, string][] = [];
  decoder.decode(bytes, 0, bytes.length, {
    take: ({ name, value }) => void fields.push([name, value]),
  });
  return fields;
}

function refuses(bytes: Uint8Array, why: RegExp): void {
  assert.throws(() => decode(new HpackDecoder(), bytes), (error: unknown) => {
    return error instanceof ConnectionFault && error.code === ErrorCode.compressionError &&
      why.test(error.message);
  });
}

/** Codes of single bytes, put together bit by bit; padded with ones. */
function huffman(text: string): Uint8Array {
  let bits = "";
  for (const character of text) bits += codeOf(character.charCodeAt(0));
  bits += "1".repeat((8 - bits.length % 8) % 8);
  return Uint8Array.from(bits.match(/.{8}/g) ?? [], (byte) => Number.parseInt(byte, 2));
}

/** The canonical code: shorter codes first, then by symbol. */
function codeOf(symbol: number): string {
  let code = 0n;
  let bits = 0;
  for (let length = 5; length <= 30; length++) {
    code <<= 1n;
    for (let at = 0; at <= 256; at++) {
      if (HUFFMAN_BITS[at] !== length) continue;
      bits = length;
      if (at === symbol) return code.toString(2).padStart(bits, "0");
      code++;
    }
  }
  throw new Error("Cannot code: no such symbol");
}

const FIRST: Fields = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "www.example.com"],
];
const SECOND: Fields = [...FIRST, ["cache-control", "no-cache"]];
const THIRD: Fields = [
  [":method", "GET"],
  [":scheme", "https"],
  [":path", "/index.html"],
  [":authority", "www.example.com"],
  ["custom-key", "custom-value"],
];

Deno.test("HpackDecoder decodes single fields (RFC 7541, C.2)", () => {
  const cases: [string, string, string, number][] = [
    ["400a637573746f6d2d6b65790d637573746f6d2d686561646572", "custom-key", "custom-header", 55],
    ["040c2f73616d706c652f70617468", ":path", "/sample/path", 0],
    ["100870617373776f726406736563726574", "password", "secret", 0],
    ["82", ":method", "GET", 0],
  ];
  for (const [digits, name, value, tableBytes] of cases) {
    const decoder = new HpackDecoder();
    assert.deepEqual(decode(decoder, hex(digits)), [[name, value]]);
    assert.equal(decoder.tableBytes, tableBytes);
  }
});

for (
  const [what, blocks] of [
    ["plain texts (RFC 7541, C.3)", [
      "828684410f7777772e6578616d706c652e636f6d",
      "828684be58086e6f2d6361636865",
      "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
    ]],
    ["Huffman codes (RFC 7541, C.4)", [
      "828684418cf1e3c2e5f23a6ba0ab90f4ff",
      "828684be5886a8eb10649cbf",
      "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    ]],
  ] as const
) {
  Deno.test(`HpackDecoder decodes requests that build on each other: ${what}`, () => {
    const decoder = new HpackDecoder();
    const expected = [[FIRST, 57], [SECOND, 110], [THIRD, 164]] as const;
    for (const [at, [fields, tableBytes]] of expected.entries()) {
      assert.deepEqual(decode(decoder, hex(blocks[at] ?? "")), fields);
      assert.equal(decoder.tableBytes, tableBytes);
    }
  });
}

const TIME = "Mon, 21 Oct 2013 20:13:21 GMT";
const LATER = "Mon, 21 Oct 2013 20:13:22 GMT";
const PLACE = "https://www.example.com";
const COOKIE = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";

for (
  const [what, blocks] of [
    ["plain texts (RFC 7541, C.5)", [
      "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54" +
      "6e1768747470733a2f2f7777772e6578616d706c652e636f6d",
      "4803333037c1c0bf",
      "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f" +
      "3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076" +
      "657273696f6e3d31",
    ]],
    ["Huffman codes (RFC 7541, C.6)", [
      "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f" +
      "0b97c8e9ae82ae43d3",
      "4883640effc1c0bf",
      "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335df" +
      "dfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    ]],
  ] as const
) {
  Deno.test(`HpackDecoder forgets the oldest fields: ${what}`, () => {
    const decoder = new HpackDecoder();
    const expected = [
      [
        [[":status", "302"], ["cache-control", "private"], ["date", TIME], ["location", PLACE]],
        222,
      ],
      [
        [[":status", "307"], ["cache-control", "private"], ["date", TIME], ["location", PLACE]],
        222,
      ],
      [[
        [":status", "200"],
        ["cache-control", "private"],
        ["date", LATER],
        ["location", PLACE],
        ["content-encoding", "gzip"],
        ["set-cookie", COOKIE],
      ], 215],
    ] as const;
    // The examples' table has 256 bytes.
    assert.deepEqual(decode(decoder, hex("3fe101")), []);
    for (const [at, [fields, tableBytes]] of expected.entries()) {
      assert.deepEqual(decode(decoder, hex(blocks[at] ?? "")), fields);
      assert.equal(decoder.tableBytes, tableBytes);
    }
  });
}

Deno.test("HpackDecoder refuses what is no header block", () => {
  refuses(hex("80"), /an index leads to no entry/);
  refuses(hex("be"), /an index leads to no entry/);
  refuses(hex("7e0161"), /an index leads to no entry/);
  refuses(hex("ff"), /middle of an integer/);
  refuses(hex("ff808080808001"), /integer is too large/);
  refuses(hex("0005616263"), /middle of a text/);
  refuses(hex("00"), /middle of a field/);
  refuses(hex("0001"), /middle of a text/);
  refuses(hex("000161"), /middle of a field/);
  refuses(hex("8220"), /table size comes where none may/);
  refuses(hex("202020"), /table size comes where none may/);
  refuses(hex("3fe21f"), /table size is above the limit/);
  refuses(hex("0001618184"), /no Huffman code/); // Padded with zeros.
  refuses(hex("00016182ffff"), /no Huffman code/); // Padding of more than seven bits.
  refuses(hex("00016184fffffffc"), /no Huffman code/); // EOS.
});

Deno.test("HpackDecoder takes every table size up to the limit", () => {
  const decoder = new HpackDecoder();
  decode(decoder, hex("400161016240016301644001650166"));
  assert.equal(decoder.tableBytes, 102);
  decode(decoder, hex("3f25")); // 68: two entries.
  assert.equal(decoder.tableBytes, 68);
  assert.deepEqual(decode(decoder, hex("bebf")), [["e", "f"], ["c", "d"]]);
  decode(decoder, hex("203fe11f")); // To nothing, then to 4,096.
  assert.equal(decoder.tableBytes, 0);
  decode(decoder, joined(hex("40"), block([["n", "v".repeat(4_063)]]).subarray(1)));
  assert.equal(decoder.tableBytes, 4_096);
  // One that is too large empties the table, and is no error.
  decode(decoder, joined(hex("40"), block([["n", "v".repeat(4_064)]]).subarray(1)));
  assert.equal(decoder.tableBytes, 0);
});

Deno.test("HpackDecoder gives back literals that it has seen, and new ones under the same name", () => {
  const decoder = new HpackDecoder();
  const literal = (value: string) => joined(hex("0f08"), block([["", value]]).subarray(2));
  for (
    const value of ["Bearer a", "Bearer a", "Bearer b", "Bearer a", "", "Bearer ab", "Bearer a"]
  ) {
    assert.deepEqual(decode(decoder, literal(value)), [["authorization", value]]);
  }
  assert.equal(decoder.tableBytes, 0);
});

Deno.test("decodeHuffman decodes every byte alone and among others", () => {
  for (let byte = 0; byte < 256; byte++) {
    for (const text of [String.fromCharCode(byte), `a${String.fromCharCode(byte)}z0`]) {
      const coded = huffman(text);
      const target = new Uint8Array(huffmanBoundBytes(coded.length));
      const count = decodeHuffman(coded, 0, coded.length, target);
      assert.equal(String.fromCharCode(...target.subarray(0, count)), text);
    }
  }
  assert.deepEqual(huffman("www.example.com"), hex("f1e3c2e5f23a6ba0ab90f4ff"));
});

Deno.test("STATIC_TABLE has 61 entries in their places", () => {
  assert.equal(STATIC_TABLE.length, 61);
  const places = [[2, ":method"], [8, ":status"], [15, "accept-charset"], [16, "accept-encoding"]];
  for (
    const [place, name] of [...places, [28, "content-length"], [33, "date"], [
      61,
      "www-authenticate",
    ]]
  ) {
    assert.equal(STATIC_TABLE[Number(place) - 1]?.name, name);
  }
  assert.equal(staticIndexOf("content-type"), 31);
  assert.equal(staticIndexOf("x-unknown"), 0);
});
