import { expect, test } from "vitest";
import type { CommandParts } from "../../src/cli/command-parts.ts";
import { createProgress } from "../../src/cli/progress.ts";
import { show } from "../../src/cli/show.ts";
import { createFakeClock, type FakeClock } from "../helpers/fake-clock.ts";

interface Screen {
  readonly parts: CommandParts;
  readonly clock: FakeClock;
  readonly painted: string[];
  readonly said: string[];
  interrupt(): void;
  end(): void;
}

function makeScreen(rows: number, columns: number, isTerminal = true): Screen {
  const clock = createFakeClock(0);
  const painted: string[] = [];
  const said: string[] = [];
  let interrupt = (): void => {};
  let end = (): void => {};
  const parts = {
    system: { clock },
    terminal: {
      out: (text: string) => painted.push(text),
      error: (text: string) => said.push(text),
      isTerminal,
      isErrorTerminal: isTerminal,
      hasColour: false,
      rows,
      columns,
    },
    onInterrupt(act: () => void) {
      interrupt = act;
    },
    onEnd(act: () => void) {
      end = act;
    },
  } as unknown as CommandParts;
  return { parts, clock, painted, said, interrupt: () => interrupt(), end: () => end() };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("--watch paints over what is there and gives the terminal back", async () => {
  const { parts, clock, painted, interrupt } = makeScreen(4, 20);
  let look = 0;
  const text = (): string => {
    look += 1;
    return Array.from({ length: look * 2 }, (_, line) => `look ${look} line ${line}\n`).join("");
  };
  const over = show(parts, { watch: true }, { json: () => ({}), text });
  await settled();
  expect(clock.fireNext()).toBe(true);
  await settled();
  interrupt();
  expect(await over).toBe(0);
  const paint = (...lines: readonly string[]): string =>
    `\x1b[?2026h\x1b[H${lines.map((line) => `\x1b[K${line}`).join("\r\n")}\x1b[J\x1b[?2026l`;
  expect(painted).toEqual([
    "\x1b[?1049h\x1b[?25l\x1b[?7l",
    paint("look 1 line 0", "look 1 line 1", "Ctrl-C ends it"),
    paint("look 2 line 0", "look 2 line 1", "… 2 more lines", "Ctrl-C ends it"),
    "\x1b[?7h\x1b[?25h\x1b[?1049l",
    "look 2 line 0\nlook 2 line 1\nlook 2 line 2\nlook 2 line 3\n",
  ]);
});

test("--watch gives the terminal back before a signal ends it", async () => {
  const { parts, painted, interrupt, end } = makeScreen(4, 20);
  const over = show(parts, { watch: true }, { json: () => ({}), text: () => "seen\n" });
  await settled();
  end();
  expect(painted.at(-1)).toBe("\x1b[?7h\x1b[?25h\x1b[?1049l");
  interrupt();
  await over;
});

test("--watch gives the terminal back when a look fails", async () => {
  const { parts, painted } = makeScreen(4, 20);
  const text = (): string => {
    throw new Error("no look");
  };
  await expect(show(parts, { watch: true }, { json: () => ({}), text })).rejects.toThrow("no look");
  expect(painted.at(-1)).toBe("\x1b[?7h\x1b[?25h\x1b[?1049l");
});

test("--watch is refused where it would have no end or no screen", async () => {
  const shown = { json: () => ({}), text: () => "" };
  await expect(show(makeScreen(24, 80).parts, { watch: true, json: true }, shown)).rejects.toThrow(
    "Cannot use --watch with --json: a document ends, and this would not",
  );
  await expect(show(makeScreen(24, 80, false).parts, { watch: true }, shown)).rejects.toThrow(
    "Cannot use --watch: standard output is no terminal, leave it out",
  );
});

test("a bar is painted for what lasts, and wiped away at the end", () => {
  const { parts, clock, said } = makeScreen(24, 60);
  const progress = createProgress(parts, "Checking runs");
  progress.at(0, 8);
  clock.pass(400);
  progress.at(2, 8);
  clock.pass(50);
  progress.at(3, 8);
  clock.pass(50);
  progress.at(8, 8);
  progress.end();
  expect(said).toEqual([
    "\rChecking runs ██████░░░░░░░░░░░░░░░░░░ 25% 2 of 8\x1b[K",
    "\rChecking runs ████████████████████████ 100% 8 of 8\x1b[K",
    "\r\x1b[K",
  ]);
});

test("a bar is for people, who have a terminal and wait", () => {
  for (const [screen, waitMs] of [
    [makeScreen(24, 60, false), 1000],
    [makeScreen(24, 60), 100],
  ] as const) {
    const progress = createProgress(screen.parts, "Checking runs");
    screen.clock.pass(waitMs);
    progress.at(1, 2);
    progress.end();
    expect(screen.said).toEqual([]);
  }
});
