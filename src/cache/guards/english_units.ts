/**
 * Units and currencies, each with its spellings; and number words.
 *
 * @module
 */

const SPELLINGS = `
percent %
degree °
celsius centigrade
fahrenheit
kelvin
meter metre m
kilometer kilometre km kms
centimeter centimetre cm
millimeter millimetre mm
mile mi
yard yd
foot feet ft
inch inches
gram gramme g
kilogram kilogramme kilo kg kgs
milligram mg
pound lb lbs
ounce oz
ton tonne
liter litre l
milliliter millilitre ml
gallon gal
pint
quart
cup
tablespoon tbsp
teaspoon tsp
second sec secs
minute min mins
hour hr hrs
day
week wk
month
quarter
year yr yrs
decade
century
byte
bit
kilobyte kb
megabyte mb
gigabyte gb
terabyte tb
hertz hz
kilohertz khz
megahertz mhz
gigahertz ghz
watt w
kilowatt kw
volt v
amp ampere
joule
calorie cal kcal
pixel px
mph
kph kmh
dollar usd $ buck
euro eur €
pound gbp £ quid sterling
yen jpy ¥
yuan cny renminbi rmb
rupee inr ₹
krw ₩
ruble rouble rub ₽
franc chf
peso mxn
brl
lira ₺
krona sek
krone nok dkk
zloty pln
shekel ils ₪
baht thb
rand zar
dirham aed
aud
cad
cent
penny pence
bitcoin btc ₿
ether eth ethereum
`;

const UNITS: ReadonlyMap<string, string> = new Map(
  SPELLINGS.trim().split("\n").flatMap((line) => {
    const [name = "", ...others] = line.split(" ");
    return [name, ...others].map((spelling): [string, string] => [spelling, name]);
  }),
);

/** The unit's name for one of its spellings in base form, if it is one. */
export function unitOf(word: string): string | undefined {
  return UNITS.get(word);
}

const SMALL = ("zero one two three four five six seven eight nine ten eleven twelve thirteen " +
  "fourteen fifteen sixteen seventeen eighteen nineteen").split(" ");
const TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split(" ");
const ORDINALS = ("zeroth first second third fourth fifth sixth seventh eighth ninth tenth " +
  "eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth")
  .split(" ");

/** What number words are worth: cardinals, ordinals, "once", "half". */
export const NUMBER_WORDS: ReadonlyMap<string, number> = new Map([
  ...SMALL.map((word, value): [string, number] => [word, value]),
  ...ORDINALS.map((word, value): [string, number] => [word, value]),
  ...TENS.map((word, at): [string, number] => [word, (at + 2) * 10]),
  ...TENS.map((word, at): [string, number] => [`${word.slice(0, -1)}ieth`, (at + 2) * 10]),
  ["once", 1],
  ["twice", 2],
  ["thrice", 3],
  ["half", 0.5],
  ["dozen", 12],
]);

const SCALES: ReadonlyMap<string, number> = new Map([
  ["hundred", 100],
  ["thousand", 1000],
  ["million", 1e6],
  ["billion", 1e9],
  ["trillion", 1e12],
]);

/** What a word such as "thousand" multiplies by, if it is one. */
export function numberScale(word: string): number | undefined {
  return SCALES.get(word) ?? SCALES.get(word.endsWith("s") ? word.slice(0, -1) : word);
}
