import type { CommandParts } from "./command-parts.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { usage } from "./parse-time.ts";
import { formatJson, paint, wrap } from "./print.ts";

export interface ShowOptions {
  readonly json?: boolean;
  readonly watch?: boolean;
}

type Made<Value> = Value | Promise<Value>;

/** What is shown, each time as it is at that moment. */
export interface Shown {
  readonly json: () => Made<unknown>;
  readonly text: () => Made<string>;
}

const paintMs = 1000;

/** Prints one document or one text, or with `--watch` the text again and again until Ctrl-C. */
export async function show(parts: CommandParts, options: ShowOptions, { json, text }: Shown): Promise<ExitCode> {
  const { terminal } = parts;
  if (options.watch) {
    if (options.json) throw usage("Cannot use --watch with --json: a document ends, and this would not");
    if (!terminal.isTerminal) throw usage("Cannot use --watch: standard output is no terminal, leave it out");
    await watch(parts, text);
  } else terminal.out(options.json ? formatJson(await json()) : wrap(await text(), terminal.columns));
  return exitCodes.done;
}

// A screen of its own, so that what stood there before comes back; without a cursor, and cut at the right edge by the terminal itself
// should it become narrower between two paints.
const enter = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const leave = "\x1b[?7h\x1b[?25h\x1b[?1049l";
// Painted over what is there, line by line and all at once, so that nothing is blank in between.
const [beginPaint, endPaint] = ["\x1b[?2026h\x1b[H", "\x1b[J\x1b[?2026l"];

async function watch(parts: CommandParts, text: Shown["text"]): Promise<void> {
  const { terminal, system } = parts;
  let last = "";
  let isOver = false;
  let wake = (): void => {};
  parts.onInterrupt(() => {
    isOver = true;
    wake();
  });
  parts.onEnd(() => terminal.out(leave));
  terminal.out(enter);
  try {
    while (!isOver) {
      last = wrap(await text(), terminal.columns);
      if (isOver) break;
      terminal.out(paintedScreen(terminal, last));
      await new Promise<void>((resolve) => {
        const timer = system.clock.after(paintMs, resolve);
        wake = () => {
          timer.cancel();
          resolve();
        };
      });
    }
  } finally {
    terminal.out(leave);
  }
  // What was seen last stays.
  terminal.out(last);
}

// Each line is cleared before it is written: behind a line that is as wide as the screen that would take its last character.
function paintedScreen(terminal: CommandParts["terminal"], text: string): string {
  const lines = text.replace(/\n$/, "").split("\n");
  const room = Math.max(1, (terminal.rows ?? 24) - 1);
  const shown = lines.length <= room ? lines : [...lines.slice(0, room - 1), `… ${lines.length - room + 1} more lines`];
  const footer = paint(terminal, "dim", "Ctrl-C ends it");
  return `${beginPaint}${[...shown, footer].map((line) => `\x1b[K${line}`).join("\r\n")}${endPaint}`;
}
