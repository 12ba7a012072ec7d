import type { JobKind } from "./job.ts";

/** What a run is counted by. */
export interface Counted {
  readonly home: string;
  readonly kind: JobKind;
  readonly tags: readonly string[];
}

/** How many runs may be open at once: of the whole host or of one home; all of them, or those of a class or with a tag. */
export interface Bound {
  /** Null for the whole host. */
  readonly home: string | null;
  readonly of: "runs" | "class" | "tag";
  /** The class or the tag; empty where all runs count. */
  readonly name: string;
  readonly runsMax: number;
}

/** The bounds that one file sets. */
export interface GroupLimits {
  readonly classes: Readonly<Partial<Record<JobKind, number>>>;
  readonly tags: Readonly<Record<string, number>>;
}

export const noGroupLimits: GroupLimits = { classes: {}, tags: {} };

/** The bounds of the host, or of one home. Infinity bounds nothing. */
export function boundsOf(home: string | null, runsMax: number, { classes, tags }: GroupLimits): readonly Bound[] {
  return [
    ...Object.entries(tags).map(([name, max]): Bound => ({ home, of: "tag", name, runsMax: max })),
    ...Object.entries(classes).map(([name, max]): Bound => ({ home, of: "class", name, runsMax: max })),
    ...(Number.isFinite(runsMax) ? [{ home, of: "runs", name: "", runsMax } as const] : []),
  ];
}

/** The bounds in force, and how much of each is taken. */
export interface Room {
  /** Those that count this one, the narrowest first. */
  readonly boundsOf: (one: Counted) => readonly Bound[];
  readonly used: ReadonlyMap<Bound, number>;
  /** Open runs by home. */
  readonly heldBy: ReadonlyMap<string, number>;
}

const narrowness: Readonly<Record<Bound["of"], number>> = { tag: 0, class: 1, runs: 2 };

export function createRoom(
  host: readonly Bound[],
  homes: ReadonlyMap<string, readonly Bound[]>,
  open: Iterable<Counted>,
): Room {
  const used = new Map<Bound, number>();
  const heldBy = new Map<string, number>();
  const of = (one: Counted): readonly Bound[] =>
    [...(homes.get(one.home) ?? []), ...host]
      .filter((bound) => counts(bound, one))
      .sort((a, b) => narrowness[a.of] - narrowness[b.of]);
  for (const run of open) {
    heldBy.set(run.home, (heldBy.get(run.home) ?? 0) + 1);
    for (const bound of of(run)) used.set(bound, (used.get(bound) ?? 0) + 1);
  }
  return { boundsOf: of, used, heldBy };
}

/** Whether a bound counts this run. */
export function counts(bound: Bound, run: Counted): boolean {
  if (bound.home !== null && bound.home !== run.home) return false;
  switch (bound.of) {
    case "runs":
      return true;
    case "class":
      return bound.name === run.kind;
    case "tag":
      return run.tags.includes(bound.name);
  }
}

/** The first bound that is full for one that wants to start, or null. */
export function fullBound({ used }: Pick<Room, "used">, bounds: readonly Bound[]): Bound | null {
  return bounds.find((bound) => (used.get(bound) ?? 0) >= bound.runsMax) ?? null;
}

/** `tag "db" of home "team"`: what a bound counts, for people. */
export function boundText({ home, of, name }: Bound): string {
  const whose = home === null ? "of this host" : `of home "${home}"`;
  return of === "runs" ? `runs ${whose}` : of === "class" ? `${name} jobs ${whose}` : `tag "${name}" ${whose}`;
}

/** `all 4 places of home "team" are taken`: what a bound that is full means, for people. */
export function fullText({ home, of, name, runsMax }: Bound): string {
  const whose = home === null ? "of this host" : `of home "${home}"`;
  const what = of === "runs" ? "" : of === "class" ? ` for ${name} jobs` : ` for tag "${name}"`;
  return runsMax === 1 ? `the one place ${whose}${what} is taken` : `all ${runsMax} places ${whose}${what} are taken`;
}
