/** A kill -9 of one of the two that share a home, and how long it stays away. */
export interface Blow {
  readonly side: "daemon" | "gateway";
  /** From the beginning of the scene. */
  readonly atMs: number;
  readonly pauseMs: number;
}

const blowCount = 5;

/**
 * Five, spread over the time, with at least one for either side. One of the daemon's is so long that the gateway takes over, and in
 * ten minutes so long that a gateway's ordinary tick of a minute falls into it.
 */
export function planBlows(random: () => number, minutes: number): readonly Blow[] {
  const spanMs = (minutes * 60_000) / blowCount;
  const drawn = Array.from({ length: blowCount - 2 }, () => (random() < 0.5 ? "daemon" : "gateway"));
  const sides = shuffle<Blow["side"]>(["daemon", "gateway", ...drawn], random);
  const longest = sides.indexOf("daemon");
  return sides.map((side, index) => {
    const atMs = spanMs * (index + 0.1 + 0.3 * random());
    const shortMs = random() < 0.5 ? 2000 : 15_000;
    const pauseMs = index === longest ? 0.55 * spanMs : Math.min(shortMs * random(), 0.55 * spanMs);
    return { side, atMs, pauseMs };
  });
}

function shuffle<Item>(items: readonly Item[], random: () => number): readonly Item[] {
  return items
    .map((item) => ({ item, rank: random() }))
    .sort((one, other) => one.rank - other.rank)
    .map(({ item }) => item);
}
