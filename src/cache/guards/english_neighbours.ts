/**
 * English words that lie one slip of the pen from another English word.
 *
 * Two neighbouring letters swapped, or a consonant doubled, makes a different
 * word of each: "trial" and "trail", "desert" and "dessert". Made from general
 * knowledge of the language.
 *
 * @module
 */

const SWAPS = "trial trail angel angle quiet quite casual causal dairy diary united untied unite " +
  "untie unites unties martial marital silver sliver form from calm clam salt slat bolt blot clod " +
  "cold curd crud grit girt trap tarp wrap warp silt slit snug sung lion loin lair liar part prat " +
  "crop corp gird grid goal gaol dose does cruse curse slave salve filed field tired tried " +
  "nuclear unclear fired fried stain satin complaint compliant signed singed signing singing " +
  "signer singer alter later resist resits perfect prefect perform preform barely barley carve " +
  "crave brunt burnt discreet discrete infarction infraction there three spilt split scared " +
  "sacred crate carte bale able";

const DOUBLES = "desert dessert later latter planed planned planer planner filing filling filed " +
  "filled dinner diner super supper bitter biter cannon canon scared scarred stared starred " +
  "staring starring striped stripped sloped slopped taped tapped taper tapper winning wining " +
  "sitting siting matting mating mated matted cutter cuter robbed robed hopping hoping hoped " +
  "hopped bellow below barring baring holly holy comma coma rapper raper caning canning pining " +
  "pinning rated ratted poled polled poling polling sniper snipper litter liter " +
  "furry fury caped capped bated batted waged wagged moping mopping griping gripping tinny tiny " +
  "tiller tiler slimed slimmed";

const NEIGHBOURS: ReadonlySet<string> = new Set(`${SWAPS} ${DOUBLES}`.split(" "));

/** Whether a word has such a neighbour. */
export function hasNeighbour(word: string): boolean {
  return NEIGHBOURS.has(word);
}
