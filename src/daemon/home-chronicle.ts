import { beatMs, endOfLife, type HomeSpell, zoneNote } from "../core/home-history.ts";
import { InvariantError } from "../core/invariant-error.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";

/** A lock that is held for less stands in nobody's way. */
const lockWorthMs = 1000;

type Trouble = Pick<HomeSpell, "kind" | "detail"> & { readonly sinceMs?: number };

/** Writes down when this daemon lived and what stood in the way of its homes, so that people can be told afterwards. */
export interface HomeChronicle {
  begin(): void;
  /** Writes a sign of life when one is due. */
  beat(): void;
  /** Looks at what is in the way of a home now. To be called after its tick. */
  look(home: HomeRuntime): void;
  /** The wall clock ran on by itself, as it does while the machine sleeps. */
  jumped(byMs: number): void;
  end(): void;
}

export function createHomeChronicle(parts: DaemonParts): HomeChronicle {
  const { system, ledger } = parts;
  /** By home and kind. */
  const open = new Map<string, { readonly id: number; readonly detail: string | null }>();
  /** Of the open ones, those that an earlier daemon saw and this one has not looked for yet, with its last sign of life. */
  const unseen = new Map<string, number>();
  let life: number | null = null;
  let beatAtMonotonicMs = 0;

  /** History is worth no trouble: on a full disk there is a gap in it. */
  function write(act: () => void): void {
    try {
      ledger.transaction(act);
    } catch (error) {
      if (!(error instanceof Error) || error instanceof InvariantError) throw error;
      system.log.error("what stands in the way of homes could not be recorded", { error: error.message });
    }
  }

  function troubles(home: HomeRuntime): readonly Trouble[] {
    const { state, lockBusy, settings } = home;
    if (state.kind === "unsupported") return [{ kind: "unsupported", detail: state.reason }];
    const hold = home.hold();
    const isLocked = lockBusy !== null && system.clock.monotonicMs() - lockBusy.sinceMonotonicMs >= lockWorthMs;
    return [
      ...(state.kind === "degraded" ? [{ kind: state.kind, detail: state.reason }] : []),
      ...(settings.error === null ? [] : [{ kind: "config" as const, detail: settings.error }]),
      ...(hold === null ? [] : [{ kind: hold, detail: hold === "disk" ? home.diskShortage() : null }]),
      ...(isLocked ? [{ kind: "lock" as const, detail: holder(home), sinceMs: lockBusy.sinceMs }] : []),
    ];
  }

  function holder(home: HomeRuntime): string | null {
    // Asked once: whoever holds it when it gets long is who is in the way.
    const known = open.get(`${home.name}\nlock`);
    if (known !== undefined) return known.detail;
    const pid = system.locks.holderPid(`${home.cronFolder}/.tick.lock`);
    return pid === null ? null : `process ${pid}${programName(pid)}`;
  }

  function programName(pid: number): string {
    try {
      return ` (${system.files.readText(`/proc/${pid}/comm`).trim()})`;
    } catch {
      // It is gone, or this system lists processes elsewhere.
      return "";
    }
  }

  return {
    begin() {
      const nowMs = system.clock.nowMs();
      const [earlier] = ledger.lives(nowMs);
      for (const spell of ledger.openSpells()) {
        const key = `${spell.home}\n${spell.kind}`;
        open.set(key, spell);
        if (earlier !== undefined) unseen.set(key, endOfLife(earlier, false));
      }
      write(() => {
        life = ledger.beginLife(system.processes.ownPid, nowMs);
      });
      beatAtMonotonicMs = system.clock.monotonicMs() + beatMs;
    },
    beat() {
      const now = system.clock.monotonicMs();
      if (life === null || now < beatAtMonotonicMs) return;
      beatAtMonotonicMs = now + beatMs;
      const own = life;
      write(() => ledger.beat(own, system.clock.nowMs()));
    },
    look(home) {
      const nowMs = system.clock.nowMs();
      const found = new Map(troubles(home).map((trouble) => [`${home.name}\n${trouble.kind}`, trouble]));
      const over = [...open].filter(
        ([key, { detail }]) =>
          key.startsWith(`${home.name}\n`) && (found.get(key) === undefined || found.get(key)?.detail !== detail),
      );
      // It may have been over a moment after that daemon was: nobody was there to see.
      const ends = over.map(([key, { id }]) => ({ key, id, atMs: unseen.get(key) ?? nowMs }));
      for (const key of [...found.keys(), ...over.map(([each]) => each)]) unseen.delete(key);
      const fresh = [...found].filter(([key, { detail }]) => open.get(key)?.detail !== detail || !open.has(key));
      if (over.length === 0 && fresh.length === 0) return;
      write(() => {
        for (const { key, id, atMs } of ends) {
          ledger.endSpell(id, atMs);
          open.delete(key);
          if (key === `${home.name}\nconfig`) ledger.setNote(zoneNote(home.name), null);
        }
        for (const [key, { kind, detail, sinceMs }] of fresh) {
          const id = ledger.beginSpell({ home: home.name, kind, detail, beganMs: sinceMs ?? nowMs, endedMs: null });
          open.set(key, { id, detail });
          // Whoever reads the files alone would show times in another zone than the one that jobs start by.
          if (kind === "config") ledger.setNote(zoneNote(home.name), home.settings.zone.name);
        }
      });
    },
    jumped(byMs) {
      if (byMs < beatMs) return;
      const nowMs = system.clock.nowMs();
      write(() => ledger.beginSpell({ home: "", kind: "asleep", detail: null, beganMs: nowMs - byMs, endedMs: nowMs }));
    },
    end() {
      const own = life;
      if (own !== null) write(() => ledger.endLife(own, system.clock.nowMs()));
    },
  };
}
