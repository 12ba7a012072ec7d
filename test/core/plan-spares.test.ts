import { expect, test } from "vitest";
import { planSpares, type SpareHome, type SpareLimits } from "../../src/core/plan-spares.ts";

const limits: SpareLimits = { cores: 2, loading: 0, sparesMax: 16, loadingMs: 2000 };
const home = (name: string, dueAtMs: readonly number[], spares = 0): SpareHome => ({ name, dueAtMs, spares });
const eight = new Array<number>(8).fill(20_000);

interface Case {
  readonly what: string;
  readonly homes: readonly SpareHome[];
  readonly limits?: Partial<SpareLimits>;
  readonly nowMs: number;
  readonly start: readonly string[];
  readonly wakeAtMs: number | null;
}

const cases: readonly Case[] = [
  { what: "nothing due", homes: [home("a", [])], nowMs: 0, start: [], wakeAtMs: null },
  { what: "one, early", homes: [home("a", [20_000])], nowMs: 0, start: [], wakeAtMs: 16_000 },
  { what: "one, in time", homes: [home("a", [20_000])], nowMs: 15_995, start: ["a"], wakeAtMs: null },
  { what: "one, late", homes: [home("a", [20_000])], nowMs: 19_000, start: ["a"], wakeAtMs: null },
  { what: "one, in vain", homes: [home("a", [20_000])], nowMs: 19_700, start: [], wakeAtMs: null },
  { what: "one that is overdue", homes: [home("a", [20_000])], nowMs: 21_000, start: [], wakeAtMs: null },
  { what: "one that has its spare", homes: [home("a", [20_000], 1)], nowMs: 16_000, start: [], wakeAtMs: null },
  { what: "eight, the first pair", homes: [home("a", eight)], nowMs: 10_000, start: ["a", "a"], wakeAtMs: 12_000 },
  {
    what: "eight, while the first pair loads",
    homes: [home("a", eight, 2)],
    limits: { loading: 2 },
    nowMs: 12_000,
    start: [],
    wakeAtMs: 12_100,
  },
  {
    what: "eight, one of the first pair has loaded",
    homes: [home("a", eight, 2)],
    limits: { loading: 1 },
    nowMs: 12_000,
    start: ["a"],
    wakeAtMs: 12_100,
  },
  {
    what: "eight of two homes, due one after the other",
    homes: [home("a", [20_000, 20_400, 20_800, 21_200]), home("b", [20_200, 20_600, 21_000, 21_400])],
    nowMs: 11_300,
    start: ["a"],
    wakeAtMs: 11_400,
  },
  {
    what: "eight on a machine that loads slowly",
    homes: [home("a", eight)],
    limits: { loadingMs: 5000 },
    nowMs: 0,
    start: ["a", "a"],
    wakeAtMs: 3000,
  },
  {
    what: "more than there is room for",
    homes: [home("a", eight, 1), home("b", [19_000], 1)],
    limits: { sparesMax: 3 },
    nowMs: 16_000,
    start: ["a"],
    wakeAtMs: null,
  },
  {
    what: "far apart",
    homes: [home("a", [20_000, 50_000])],
    nowMs: 16_000,
    start: ["a"],
    wakeAtMs: 46_000,
  },
];

test("planSpares() has each worker loaded two seconds before its due time, never more at once than there are cores", () => {
  for (const { what, homes, nowMs, start, wakeAtMs, ...more } of cases) {
    expect({ what, ...planSpares(homes, { ...limits, ...more.limits }, nowMs) }).toEqual({ what, start, wakeAtMs });
  }
});
