/**
 * English opposites: words that may not stand for one another.
 *
 * A line is a set of groups, separated by bars; words of different groups of one line
 * exclude each other. Words are in their base form. Made from general knowledge of
 * the language. Opposites by prefix ("un-", "dis-", …) need no list, see
 * {@linkcode ./likeness.ts}.
 *
 * @module
 */

const LINES = `
to|from
in into inside within indoors|out outside outdoors
on|off
up upward upwards|down downward downwards
upstairs|downstairs
before until ahead prior|after since behind
over above|under below beneath underneath
with|without
for|against
near nearby close|far distant
here|there
forward forwards|backward backwards back
left|right
east eastern|west western|north northern|south southern
top|bottom|middle
front|back|rear
beginning begin start open|end ending finish stop close
open|close shut
first|last
early earlier|late later
now|then later
today|tomorrow|yesterday|tonight
morning|afternoon|evening|night
day|night
am|pm
past|present|future
more|less fewer
most|least
many much|few little
all|none some
always|never|sometimes|rarely seldom|often
everybody everyone|nobody someone somebody
everything|nothing something
everywhere|nowhere somewhere
increase raise rise grow growth lift boost|decrease reduce reduction lower drop fall shrink cut
add addition plus include insert|remove removal subtract minus exclude delete erase
gain|lose
win|lose
buy purchase|sell
lend|borrow
give|take receive
send|receive
push|pull
pay|charge
deposit|withdraw withdrawal
credit|debit
import|export
upload|download
install|uninstall
enable activate allow permit|disable deactivate forbid block prevent prohibit ban
lock|unlock
accept approve|reject refuse decline deny
agree|disagree
like love|dislike hate
remember|forget
find|lose
lost|found
arrive arrival come|leave departure depart go
enter entry entrance|exit leave
connect|disconnect
attach|detach
join|leave
build create make|destroy demolish
save keep|delete discard
spend|save
succeed success pass|fail failure
start|stop
begin|end
continue resume|pause stop
show reveal|hide conceal
freeze|unfreeze thaw
fill|empty
full|empty
fast quick quickly rapid|slow slowly
hot warm|cold cool
wet|dry
light|dark
light|heavy
big large|small little tiny
tall high|short low
long|short
wide broad|narrow
thick|thin
deep|shallow
hard difficult|easy simple
hard|soft
strong|weak
rich|poor
cheap inexpensive|expensive dear costly
good|bad
better|worse
best|worst
right correct true|wrong incorrect false
safe|dangerous unsafe
clean|dirty
new|old used
young|old
old|new
same|different other another
public|private
internal|external
inner|outer
inbound incoming|outbound outgoing
domestic national|international foreign
local|remote
online|offline
single|double|triple
single|married|divorced
male man men boy|female woman women girl
he|she
husband|wife
father dad|mother mom mum
son|daughter
brother|sister
uncle|aunt
king|queen
mr|mrs ms
host|guest
teacher|student
employer|employee
doctor|patient
client|server
sender|recipient receiver
landlord|tenant
question|answer
problem|solution
cause|effect
input|output
maximum max maximal|minimum min minimal
upper|lower
plus|minus
positive|negative
multiply|divide
odd|even
major|minor
vertical|horizontal
formal|informal
active|inactive passive
present|absent
alive living|dead
born|die
sick ill unwell|healthy well
asleep sleep|awake wake
happy glad|sad unhappy
loud|quiet silent
mute|unmute
rough|smooth
sharp|blunt dull
sweet|sour bitter|salty
raw|cooked
vegetarian vegan|meat
breakfast|lunch|dinner supper
free|paid
legal lawful|illegal unlawful
guilty|innocent
normal|abnormal
possible|impossible
able|unable
useful|useless
careful|careless
helpful|helpless harmful
temporary|permanent
fixed|variable
automatic|manual
digital|analog analogue
virtual|physical
wireless|wired
ancient|modern
summer|winter|spring|autumn fall
monday|tuesday|wednesday|thursday|friday|saturday|sunday
january|february|march|april|may|june|july|august|september|october|november|december
weekday|weekend
daily|weekly|monthly|yearly annual annually|hourly
hourly|daily
red|green|blue|yellow|orange|purple|pink|brown|black|white|gray|violet
gold golden|silver|bronze
tea|coffee
cat|dog
sun|moon
land|sea|air
sugar|salt
wine|beer
acid|base alkaline
war|peace
profit|loss
asset|liability
supply|demand
income|expense
debt|credit
round|single
departing|arriving
landing|takeoff
heads|tails
ascending|descending
increasing|decreasing
singular|plural
noun|verb|adjective|adverb
prefix|suffix
encode|decode
encrypt|decrypt
compress|decompress
serialize|deserialize
read|write
row|column
width|height|length|depth
stack|queue
lowercase|uppercase
synchronous|asynchronous
mutable|immutable
static|dynamic
`;

/** For each word the lines and groups it belongs to, as `line * 16 + group`. */
const PLACES: ReadonlyMap<string, readonly number[]> = readLines();

function readLines(): ReadonlyMap<string, readonly number[]> {
  const places = new Map<string, number[]>();
  LINES.trim().split("\n").forEach((line, lineAt) => {
    line.split("|").forEach((group, groupAt) => {
      for (const word of group.split(" ")) {
        const known = places.get(word);
        if (known === undefined) places.set(word, [lineAt * 16 + groupAt]);
        else known.push(lineAt * 16 + groupAt);
      }
    });
  });
  return places;
}

/** Whether two words in base form exclude each other. */
export function areOpposites(one: string, other: string): boolean {
  const places = PLACES.get(one);
  const others = PLACES.get(other);
  if (places === undefined || others === undefined) return false;
  return places.some((place) =>
    others.some((there) => place !== there && place >> 4 === there >> 4)
  );
}

/** Whether a word stands in the list at all. */
export function isListed(word: string): boolean {
  return PLACES.has(word);
}
