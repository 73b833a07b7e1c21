import assert from "node:assert/strict";
import { speaksOfPresent } from "./relative_time.ts";

Deno.test("speaksOfPresent finds words about the present in any case", () => {
  for (
    const text of [
      "What is in the news TODAY?",
      "who won last night",
      "the latest version of Deno",
      "What happens this week?",
      "this Friday's menu",
      "in the past 3 days",
      "is it open right now?",
      "what's the time",
      "What time is it in Oslo",
      "what is the date",
      "at the moment I cannot pay",
      "the current president",
      "two years ago",
      "Wie wird das Wetter heute?",
      "qu'est-ce qui se passe aujourd’hui",
      "¿Qué pasa mañana?",
      "какие новости сегодня",
      "今天的新闻",
      "오늘 날씨",
    ]
  ) assert.equal(speaksOfPresent(text), true, text);
});

Deno.test("speaksOfPresent takes whole words only", () => {
  for (
    const text of [
      "I know how snow forms",
      "what do currents do to a coast",
      "explain the timeline of the war of 1812",
      "What is a latestage startup",
      "the renowned painter",
      "how far is the moon",
      "how does this function work",
      "Wie groß ist der Mond?",
      "月はどれくらい遠いですか",
    ]
  ) assert.equal(speaksOfPresent(text), false, text);
});
