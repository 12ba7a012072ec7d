/** When a daemon is killed, counted from its start, from its first sign of life, or from the moment it is ready. */
export interface Kill {
  readonly signal: "SIGKILL" | "SIGTERM";
  readonly since: "start" | "first_line" | "ready";
  readonly afterMs: number;
  /** Set to wait for the next full second after that, and then so long: that is when these jobs are claimed. */
  readonly intoSecondMs?: number;
  /** How long nobody is there afterwards. */
  readonly pauseMs: number;
}

export const earlyMs = 200;

const anyTimeMs = 8000;
const claimingMs = 60;

/**
 * Kills without end, of each 15 in random order: 5 within the first 200 ms of the process, when it may not have begun; 3 within
 * 200 ms of its first line, when it deals with what it found; 4 at any time, half of them while jobs are being claimed; and 3
 * planned restarts.
 */
export function* planKills(random: () => number): Generator<Kill, never> {
  const killAfter = (since: Kill["since"], fromMs: number, toMs: number) =>
    ({ signal: "SIGKILL", since, afterMs: fromMs + random() * (toMs - fromMs) }) as const;
  for (;;) {
    const round: Omit<Kill, "pauseMs">[] = [
      ...Array.from({ length: 5 }, () => killAfter("start", 0, earlyMs)),
      ...Array.from({ length: 3 }, () => killAfter("first_line", 0, earlyMs)),
      ...Array.from({ length: 2 }, () => killAfter("start", earlyMs, anyTimeMs)),
      ...Array.from({ length: 2 }, () => ({
        ...killAfter("start", earlyMs, anyTimeMs),
        intoSecondMs: random() * claimingMs,
      })),
      ...Array.from({ length: 3 }, () => ({ signal: "SIGTERM", since: "ready", afterMs: random() * 3000 }) as const),
    ];
    while (round.length > 0) {
      const [kill] = round.splice(Math.floor(random() * round.length), 1);
      if (kill === undefined) break;
      const pauseMs = random() < 1 / 12 ? 2000 + random() * 2000 : random() * 600;
      yield { ...kill, pauseMs };
    }
  }
}
