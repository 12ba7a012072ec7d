import type { DatabaseSync } from "node:sqlite";
import type { DaemonLife, HomeSpell, SpellKind } from "../core/home-history.ts";
import { fromMicroseconds, orNull, type Row, toMicroseconds } from "./slots.ts";

/** When daemons lived on this state folder, and what stood in the way of its homes. */
export interface HistoryLedger {
  /** Answers the number of the life, under which its signs are written. */
  beginLife(pid: number, atMs: number): number;
  beat(life: number, atMs: number): void;
  endLife(life: number, atMs: number): void;
  /** Those that may have reached beyond `sinceMs`, and the last one before them, the newest first. */
  lives(sinceMs: number): readonly DaemonLife[];
  /** Answers its number. */
  beginSpell(spell: HomeSpell): number;
  endSpell(id: number, atMs: number): void;
  /** Those of no end yet, with their numbers. */
  openSpells(): readonly (HomeSpell & { readonly id: number })[];
  /** Of a home and of all homes: those that lasted at any moment from `fromMs` to `untilMs`, the newest first. */
  spells(home: string, fromMs: number, untilMs: number): readonly HomeSpell[];
}

/** A daemon that is started again each minute leaves no more than this. */
const livesMax = 1000;
const spellsMax = 10_000;
const spellsReadMax = 200;

type LifeRow = Row<"pid" | "began_us" | "seen_us" | "ended_us">;
type SpellRow = Row<"id" | "home" | "kind" | "detail" | "began_us" | "ended_us">;

export function createHistoryLedger(database: DatabaseSync): HistoryLedger {
  const insertLife = database.prepare("INSERT INTO daemon_life (pid, began_us, seen_us) VALUES (?, ?, ?)");
  const forgetLives = database.prepare("DELETE FROM daemon_life WHERE id <= ?");
  const beatLife = database.prepare("UPDATE daemon_life SET seen_us = max(seen_us, ?) WHERE id = ?");
  const closeLife = database.prepare(
    "UPDATE daemon_life SET seen_us = max(seen_us, ?1), ended_us = max(began_us, ?1) WHERE id = ?2",
  );
  const readLives = database.prepare(
    `SELECT * FROM daemon_life WHERE id >= coalesce(
      (SELECT max(id) FROM daemon_life WHERE began_us <= ?), 0) - 1 ORDER BY id DESC`,
  );
  const insertSpell = database.prepare(
    "INSERT INTO home_spell (home, kind, detail, began_us, ended_us) VALUES (?, ?, ?, ?, ?)",
  );
  const forgetSpells = database.prepare("DELETE FROM home_spell WHERE id <= ?");
  const closeSpell = database.prepare("UPDATE home_spell SET ended_us = max(began_us, ?) WHERE id = ?");
  const readOpen = database.prepare("SELECT * FROM home_spell WHERE ended_us IS NULL ORDER BY id");
  const readSpells = database.prepare(
    `SELECT * FROM home_spell WHERE home IN (?, '') AND began_us <= ? AND (ended_us IS NULL OR ended_us >= ?)
      ORDER BY id DESC LIMIT ?`,
  );

  return {
    beginLife(pid, atMs) {
      const us = toMicroseconds(atMs);
      const id = Number(insertLife.run(pid, us, us).lastInsertRowid);
      forgetLives.run(id - livesMax);
      return id;
    },
    beat: (life, atMs) => void beatLife.run(toMicroseconds(atMs), life),
    endLife: (life, atMs) => void closeLife.run(toMicroseconds(atMs), life),
    lives: (sinceMs) => readLives.all(toMicroseconds(sinceMs)).map(toLife),
    beginSpell({ home, kind, detail, beganMs, endedMs }) {
      const ended = orNull(endedMs, toMicroseconds);
      const id = Number(insertSpell.run(home, kind, detail, toMicroseconds(beganMs), ended).lastInsertRowid);
      forgetSpells.run(id - spellsMax);
      return id;
    },
    endSpell: (id, atMs) => void closeSpell.run(toMicroseconds(atMs), id),
    openSpells: () => readOpen.all().map((row: SpellRow) => ({ ...toSpell(row), id: Number(row.id) })),
    spells: (home, fromMs, untilMs) =>
      readSpells.all(home, toMicroseconds(untilMs), toMicroseconds(fromMs), spellsReadMax).map(toSpell),
  };
}

/** Of a ledger from before this was kept. */
export function noHistory(): HistoryLedger {
  return {
    beginLife: () => 0,
    beat: () => undefined,
    endLife: () => undefined,
    lives: () => [],
    beginSpell: () => 0,
    endSpell: () => undefined,
    openSpells: () => [],
    spells: () => [],
  };
}

function toLife(row: LifeRow): DaemonLife {
  return {
    pid: Number(row.pid),
    beganMs: fromMicroseconds(row.began_us),
    seenMs: fromMicroseconds(row.seen_us),
    endedMs: orNull(row.ended_us, fromMicroseconds),
  };
}

function toSpell(row: SpellRow): HomeSpell {
  return {
    home: String(row.home),
    kind: String(row.kind) as SpellKind,
    detail: orNull(row.detail, String),
    beganMs: fromMicroseconds(row.began_us),
    endedMs: orNull(row.ended_us, fromMicroseconds),
  };
}
