import assert from "node:assert/strict";
import { baseForm, isPrefixed, isSameWord, swappedSpellings } from "./likeness.ts";

Deno.test("baseForm takes plural and tense away", () => {
  for (
    const [form, base] of [
      ["cards", "card"],
      ["queries", "query"],
      ["boxes", "box"],
      ["glass", "glass"],
      ["bus", "bus"],
      ["stopped", "stop"],
      ["charged", "charge"],
      ["opened", "open"],
      ["moving", "move"],
      ["making", "make"],
      ["calling", "call"],
      ["carried", "carry"],
      ["bought", "buy"],
      ["children", "child"],
      ["thing", "thing"],
      ["anything", "anything"],
      ["speed", "speed"],
      ["evening", "evening"],
    ] as const
  ) {
    assert.equal(baseForm(form), base, form);
  }
});

Deno.test("isSameWord believes swapped letters and doubled consonants only", () => {
  for (
    const pair of ["recieve receive", "crad card", "adress address", "cancelation cancellation"]
  ) {
    const [one = "", other = ""] = pair.split(" ");
    assert.ok(isSameWord(one, other) && isSameWord(other, one), pair);
  }
  for (
    const pair of [
      "from form",
      "trial trail",
      "desert dessert",
      "cat act",
      "insulin inulin",
      "nitrate nitrite",
      "house mouse",
      "cost cots",
      "medication meditation",
      "choose chose",
    ]
  ) {
    const [one = "", other = ""] = pair.split(" ");
    assert.ok(!isSameWord(one, other) && !isSameWord(other, one), pair);
  }
});

Deno.test("swappedSpellings leaves real words out", () => {
  assert.ok(swappedSpellings("please").includes("plaese"));
  assert.ok(!swappedSpellings("from").includes("form"));
  assert.deepEqual(swappedSpellings("is"), []);
});

Deno.test("isPrefixed finds opposites by prefix", () => {
  assert.ok(isPrefixed("likely", "unlikely") && isPrefixed("dishonest", "honest"));
  assert.ok(!isPrefixed("order", "reorder") && !isPrefixed("in", "inn"));
});
