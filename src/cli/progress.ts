import type { CommandParts } from "./command-parts.ts";
import { textWidth } from "./print.ts";

/** A bar for what takes its time, on standard error and only where a person looks on. */
export interface Progress {
  at(done: number, total: number): void;
  end(): void;
}

/** What is over sooner needs no bar. */
const quietMs = 400;
const paintMs = 100;
const barColumns = 24;

export function createProgress({ system, terminal }: CommandParts, title: string): Progress {
  let paintAtMs = system.clock.monotonicMs() + quietMs;
  let isPainted = false;
  return {
    at(done, total) {
      const nowMs = system.clock.monotonicMs();
      if (!terminal.isErrorTerminal || nowMs < paintAtMs) return;
      paintAtMs = nowMs + paintMs;
      isPainted = true;
      const share = total <= 0 ? 1 : Math.min(1, done / total);
      const figures = `${Math.floor(share * 100)}% ${done} of ${total}`;
      const room = (terminal.columns ?? 80) - textWidth(title) - textWidth(figures) - 3;
      const filled = Math.floor(share * barColumns);
      const bar = room < barColumns ? "" : `${"█".repeat(filled)}${"░".repeat(barColumns - filled)} `;
      const line = `${title} ${bar}${figures}`;
      terminal.error(`\r${line.slice(0, Math.max(1, (terminal.columns ?? 80) - 1))}\x1b[K`);
    },
    end() {
      if (isPainted) terminal.error("\r\x1b[K");
    },
  };
}
