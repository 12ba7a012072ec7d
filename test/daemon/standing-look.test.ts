import { expect, test } from "vitest";
import { createChildTable } from "../../src/child/child-table.ts";
import type { HomeHold, HomeRuntime } from "../../src/daemon/home-runtime.ts";
import type { Look } from "../../src/daemon/stage-claims.ts";
import { isStanding, standingLook } from "../../src/daemon/standing-look.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";

type Parts = Parameters<typeof isStanding>[0];

/** A home that a tick has just found nothing to do in. */
function quietHome() {
  const clock = createFakeClock(0);
  const children = createChildTable();
  const parts = { system: { clock }, children } as unknown as Parts;
  const snapshot = { jobs: [] };
  const look = { snapshot, plan: { isQuiet: true }, input: { hold: null } } as unknown as Look;
  const home = {
    name: "default",
    state: { kind: "active" },
    settings: {},
    store: { read: () => snapshot },
    hold: (): HomeHold | null => null,
    restored: new Map(),
    unvoided: new Set(),
    isCleared: true,
    lockBusy: null,
    standing: null,
  } as unknown as HomeRuntime;
  home.standing = standingLook(parts, home, look);
  return { clock, children, parts, home, look };
}

test("isStanding() holds for as long as the files of a home are the same, and looks anew after ten minutes", () => {
  const { clock, parts, home } = quietHome();
  expect(isStanding(parts, home)).toBe(true);
  clock.pass(599_999);
  expect(isStanding(parts, home)).toBe(true);
  clock.pass(1);
  expect(isStanding(parts, home)).toBe(false);
});

test.each<[string, (home: HomeRuntime, children: Parts["children"]) => void]>([
  ["its store is another one", (home) => Object.assign(home.store, { read: () => ({ jobs: [] }) })],
  ["its settings are others", (home) => Object.assign(home, { settings: {} })],
  ["something holds it", (home) => Object.assign(home, { hold: () => "estop" })],
  ["it could not be read", (home) => Object.assign(home, { state: { kind: "degraded", reason: "" } })],
  ["a run of it is open", (_, children) => children.add({ runId: "r1", home: "default" } as never)],
  ["an instant was restored", (home) => void home.restored.set("a1", 1)],
  ["rows are still to be made void", (home) => void home.unvoided.add("r1")],
  ["claims are still to be cleared", (home) => Object.assign(home, { isCleared: false })],
  ["somebody holds its lock", (home) => Object.assign(home, { lockBusy: {} })],
  ["its last tick had something to do", (home) => Object.assign(home, { standing: null })],
])("isStanding() does not where %s", (_, change) => {
  const { children, parts, home } = quietHome();
  change(home, children);
  expect(isStanding(parts, home)).toBe(false);
});

test("isStanding() throws where the store cannot be read", () => {
  const { parts, home } = quietHome();
  Object.assign(home.store, {
    read: () => {
      throw new Error("EACCES");
    },
  });
  expect(() => isStanding(parts, home)).toThrow("EACCES");
});

test.each([
  ["asked more than records and cursors", { plan: { isQuiet: false }, input: { hold: null } }],
  ["was made under a hold", { plan: { isQuiet: true }, input: { hold: "estop" } }],
])("standingLook() is none for a look that %s", (_, look) => {
  const { parts, home } = quietHome();
  expect(standingLook(parts, home, look as unknown as Look)).toBe(null);
});
