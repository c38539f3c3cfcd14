// Which pipeline ranks a timeline shows: of many a few, whose events then have room.

/** All are shown up to so many. */
const fewRanks = 16;
const usually = 8;

export interface Lanes {
  from: number;
  count: number;
}

/** What is shown of a plan with `numRanks`: as chosen, as far as it has them. */
export function shownLanes(chosen: Lanes | null, numRanks: number): Lanes {
  const { from, count } = chosen ?? { from: 0, count: numRanks > fewRanks ? usually : numRanks };
  const some = Math.max(1, Math.min(count, numRanks));
  return { from: Math.max(0, Math.min(from, numRanks - some)), count: some };
}

/** How many may be shown at a time: 1, 2, 4, ..., all. */
export function laneCounts(numRanks: number): number[] {
  const powers = Array.from({ length: 20 }, (_, i) => 2 ** i);
  return [...powers.filter((count) => count < numRanks), numRanks];
}
