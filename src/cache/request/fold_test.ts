import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { foldText } from "./fold.ts";

/** Texts that must fold to one. */
const SAME: readonly (readonly string[])[] = [
  [
    "How do I reset my PIN?",
    "how do i reset my pin",
    "HOW DO I RESET MY PIN!!",
    " How do  I reset\u00a0my PIN? ",
  ],
  ["What's a loan?", "what is a loan", "What’s a loan"],
  ["I can't pay, it won't work", "i cannot pay, it will not work"],
  [
    "Hi, where is my card?",
    "Hello! Where is my card",
    "where is my card, please",
    "Where is my card? Thank you!",
    "please where is my card",
    "hey there, where is my card?, thanks in advance",
    "Where is my card\n\nThanks",
    "can you tell me, where is my card?",
    "Quick question: where is my card",
  ],
  ["Ｗｈａｔ is a ﬁle", "what is a file"],
  ["Does PayPal take my iPhone?", "does paypal take my iphone"],
  ["one\r\ntwo\n", "One\ntwo"],
  ["Wie heißt du?", "wie heißt du"],
];

/** Texts that must not fold to one: refusing to fold does as well. */
const DIFFERENT: readonly (readonly [string, string])[] = [
  ["what is -5 plus 3", "what is 5 plus 3"],
  ["what is 5!", "what is 5"],
  ["what is n!", "what is n"],
  ["what is x²", "what is x2"],
  ["how much is 5½ cups", "how much is 51⁄2 cups"],
  ["is 5% enough", "is 5 enough"],
  ["is it 1,000 or 10", "is it 1.000 or 10"],
  ["can I pay", "can't I pay"],
  ["I do want it", "I don't want it"],
  ["how does it help", "how does IT help"],
  ["tell us about it", "tell US about it"],
  ["who said that", "WHO said that"],
  ["how do I cook turkey", "how do I cook Turkey"],
  ["what is c", "what is C"],
  ["learn C", "learn C#"],
  ["solve a + A", "solve a + a"],
  ["how fast is 5 Mb", "how fast is 5 MB"],
  ["is 5G here", "is 5g here"],
  ["how do you say thank you", "how do you say please"],
  ["how do you say thank you", "how do you say"],
  ["translate to french:\nthank you", "translate to french:\nplease"],
  ["Translate into German\nthank you", "Translate into German\nplease"],
  ["hello, how are you in spanish", "how are you in spanish"],
  ["please in french", "thanks in french"],
  ["hello kitty", "kitty"],
  ["hello, world", "world"],
  ["do as you please", "do as you"],
  ["text mom thanks", "text mom"],
  ["hi", "hello"],
  ["thanks", "thank you"],
  ["great, thanks", "great"],
  ["what does ? mean", "what does ! mean"],
  ["what is the meaning of ?", "what is the meaning of !"],
  ["go on: I am...", "go on: I am"],
  ["one\ntwo", "one two"],
  ["one\n\ntwo", "one\ntwo"],
  ["top up", "top-up"],
  ["from a to b", "from b to a"],
];

/** Texts in which spelling may matter. */
const SPELLED: readonly string[] = [
  "run ```ls```",
  "what does `ls` do",
  "open https://example.com/A",
  "open example.com",
  "write to a@b.de",
  "where is /etc/hosts",
  "see ../notes",
  "is it in src/main",
  "edit main.ts",
  "open .env",
  'who said "hello"',
  "who said “hello”",
  "who said 'hello' first",
  "what is fooBar",
  "what is HTTPServer",
  "rename snake_case",
  "what does --all do",
  "what does -v do",
  "call f(x)",
  "print %s",
  "echo $HOME",
  "is a<b",
  "x = 5",
  "if true:\n    stop",
  "a\tb",
  "C:\\temp",
  "is aB3xY my key",
  "int x;",
  "x".repeat(200),
  "word ".repeat(2_000),
  "",
  "  \n ",
];

Deno.test("foldText gives spellings of one question one text", () => {
  for (const spellings of SAME) {
    const folded = spellings.map(foldText);
    assert.notEqual(folded[0], null, spellings[0]);
    for (const [index, other] of folded.entries()) {
      assert.equal(other, folded[0], spellings[index]);
    }
  }
});

Deno.test("foldText keeps apart what means something else", () => {
  for (const [one, other] of DIFFERENT) {
    const folded = foldText(one);
    assert.ok(folded === null || folded !== foldText(other), `${one} | ${other}`);
  }
});

Deno.test("foldText refuses texts in which spelling may matter", () => {
  for (const text of SPELLED) assert.equal(foldText(text), null, text);
});

Deno.test("foldText folds what only looks like code", () => {
  assert.equal(foldText("Is it free, and/or cheap?"), null);
  assert.equal(
    foldText("How many ATMs are there at McDonald's?"),
    "how many atms are there at mcdonald's",
  );
  assert.equal(foldText("Is U.S. money e.g. OK at 5 p.m.?"), "is u.s. money e.g. ok at 5 p.m");
  assert.equal(foldText("Is it 24/7?"), "is it 24/7");
  assert.equal(foldText("Is rock 'n' roll dead"), null);
  assert.equal(foldText("My parents' card"), "my parents' card");
});

Deno.test("foldText gives up on a text that is made of courtesies", () => {
  assert.equal(foldText("what is it " + "thanks, ".repeat(1_000)), null);
});

/** Pieces that touch every rule, put together at random. */
const PIECES =
  ("Hi hi, hello Hello! hey there please Please, thanks thank you you! in advance I it IT US us " +
    "What what's can't A a C c 5 MB mb 5G -3 5! n! . ? ! ... , : ; - ( ) x² ½ ﬁn ’s don’t Polish polish say " +
    "French french quick question: can tell me, great İ ß É e\u0301 \n \n\n \r\n \u00a0 “ ' ' / top-up I'm " +
    "he's fooBar WHO AM Straße ΟΔΟΣ").split(" ");

function* randomTexts(count: number): Generator<string> {
  let state = 20_261_124;
  const draw = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
  for (let made = 0; made < count; made++) {
    let text = "";
    for (let left = 1 + draw(9); left > 0; left--) {
      text += (PIECES[draw(PIECES.length)] ?? "") + (draw(8) === 0 ? "  " : " ");
    }
    yield text;
  }
}

Deno.test("foldText folds what it has folded to itself", () => {
  let folds = 0;
  for (const text of randomTexts(100_000)) {
    const folded = foldText(text);
    if (folded === null) continue;
    folds += 1;
    assert.equal(foldText(folded), folded, JSON.stringify(text));
    assert.notEqual(folded.trim(), "", JSON.stringify(text));
  }
  assert.ok(folds > 20_000, `${folds} texts were folded`);
});

Deno.test("foldText keeps every number where it was", () => {
  for (const text of randomTexts(20_000)) {
    const folded = foldText(text);
    if (folded !== null) assert.deepEqual(folded.match(/-?\d+/g), text.match(/-?\d+/g), text);
  }
});

/** The evaluation pairs, which lie beside the project. */
const PAIRS = new URL("../../../../shared/data/cache/pairs.dev.jsonl", import.meta.url);

interface Tally {
  pairs: number;
  equal: number;
}

function tallies(): ReadonlyMap<string, Tally> {
  const byKind = new Map<string, Tally>();
  for (const line of readFileSync(PAIRS, "utf8").trim().split("\n")) {
    const pair = JSON.parse(line) as { kind: string; a: string; b: string };
    const tally = byKind.get(pair.kind) ?? { pairs: 0, equal: 0 };
    byKind.set(pair.kind, tally);
    tally.pairs += 1;
    const folded = foldText(pair.a);
    if (folded !== null && folded === foldText(pair.b)) tally.equal += 1;
  }
  return byKind;
}

Deno.test({
  name: "foldText on the evaluation pairs: no flip, few near misses, nearly all spellings",
  fn: () => {
    const byKind = tallies();
    const share = (kind: string) => {
      const { equal, pairs } = byKind.get(kind) ?? { equal: Number.NaN, pairs: 0 };
      return equal / pairs;
    };
    for (const kind of ["number", "word", "negation", "roles"]) {
      assert.equal(byKind.get(`flip-${kind}`)?.equal, 0, kind);
    }
    assert.ok(share("near-miss-intent") <= 0.002);
    assert.ok(share("one-intent-apart") <= 0.002);
    assert.equal(byKind.get("random-intent")?.equal, 0);
    for (const kind of ["case", "punct", "space", "contraction", "polite"]) {
      assert.ok(share(`surface-${kind}`) >= 0.97, `${kind}: ${share(`surface-${kind}`)}`);
    }
  },
});
