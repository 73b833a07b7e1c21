import assert from "node:assert/strict";
import fc from "fast-check";
import { VectorMemo } from "./vector_memo.ts";

Deno.test("VectorMemo keeps what was used last, and never more than its bound", () => {
  const memo = new VectorMemo(4);
  memo.set("kept", Float32Array.of(7));
  for (let i = 0; i < 100; i++) {
    memo.set(`text ${i}`, Float32Array.of(i));
    assert.deepEqual(memo.get("kept"), Float32Array.of(7));
    assert.deepEqual(memo.get(`text ${i}`), Float32Array.of(i));
    assert.ok(memo.size <= 4);
  }
  assert.equal(memo.get("text 90"), undefined);
  memo.clear();
  assert.equal(memo.get("kept"), undefined);
});

Deno.test("VectorMemo of no entries keeps nothing, and no memo keeps a very long text", () => {
  for (const entries of [0, 1]) {
    const memo = new VectorMemo(entries);
    memo.set("a", Float32Array.of(1));
    assert.equal(memo.get("a"), undefined);
  }
  const memo = new VectorMemo(10);
  memo.set("x".repeat(4_096), Float32Array.of(1));
  memo.set("x".repeat(4_097), Float32Array.of(1));
  assert.equal(memo.size, 1);
});

Deno.test("VectorMemo gives what was set last or nothing, and the last half of its bound for sure", () => {
  const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 12 }), fc.boolean()), {
    maxLength: 200,
  });
  fc.assert(fc.property(steps, fc.integer({ min: 2, max: 10 }), (script, entriesMax) => {
    const memo = new VectorMemo(entriesMax);
    const model = new Map<string, Float32Array>();
    let recent: string[] = [];
    for (const [step, [number, isWrite]] of script.entries()) {
      const text = String(number);
      if (isWrite) {
        const vector = Float32Array.of(step);
        memo.set(text, vector);
        model.set(text, vector);
      }
      const got = memo.get(text);
      if (got !== undefined) assert.equal(got, model.get(text));
      if (isWrite) recent = [text, ...recent.filter((other) => other !== text)];
      for (const kept of recent.slice(0, Math.floor(entriesMax / 2))) {
        assert.notEqual(memo.get(kept), undefined);
      }
      assert.ok(memo.size <= entriesMax);
    }
  }));
});
