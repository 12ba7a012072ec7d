import type { Clock } from "../system/clock.ts";
import { type Terminal, textWidth } from "./print.ts";

/** A bar for what takes its time, on standard error and only where a person looks on. */
export interface Progress {
  at(done: number, total: number): void;
  end(): void;
}

/** What is over sooner needs no bar. */
const quietMs = 400;
const paintMs = 100;
const barColumns = 24;

/** What of a command's parts a bar needs. */
export interface ProgressParts {
  readonly system: { readonly clock: Pick<Clock, "monotonicMs"> };
  readonly terminal: Pick<Terminal, "error" | "isErrorTerminal" | "columns">;
}

/** A title, a bar where there is room for it, how much of a hundred, and what `figures` adds to that. */
export function barText(
  { columns }: Pick<Terminal, "columns">,
  title: string,
  done: number,
  total: number,
  figures: string,
): string {
  const share = total <= 0 ? 1 : Math.min(1, done / total);
  const percent = `${Math.floor(share * 100)}%${figures}`;
  const room = (columns ?? 80) - textWidth(title) - textWidth(percent) - 3;
  const filled = Math.floor(share * barColumns);
  const bar = room < barColumns ? "" : `${"█".repeat(filled)}${"░".repeat(barColumns - filled)} `;
  return `${title} ${bar}${percent}`;
}

export function createProgress({ system, terminal }: ProgressParts, title: string): Progress {
  let paintAtMs = system.clock.monotonicMs() + quietMs;
  let isPainted = false;
  return {
    at(done, total) {
      const nowMs = system.clock.monotonicMs();
      if (!terminal.isErrorTerminal || nowMs < paintAtMs) return;
      paintAtMs = nowMs + paintMs;
      isPainted = true;
      const line = barText(terminal, title, done, total, ` ${done} of ${total}`);
      terminal.error(`\r${line.slice(0, Math.max(1, (terminal.columns ?? 80) - 1))}\x1b[K`);
    },
    end() {
      if (isPainted) terminal.error("\r\x1b[K");
    },
  };
}
