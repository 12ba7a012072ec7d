import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { patienceMs, startGateway } from "./gateway.ts";
import { createHome, createJob, type Home, lines, removeHome, stopAll, until } from "./home.ts";
import { hermesPython, releases } from "./releases.ts";
import { readJson, startDaemon, supervisor } from "./supervisor.ts";

// The real daemon and a real gateway in turns: each slot of a job is run once by one of them. HERMES_SUPERVISOR_HAND_OVERS=50
// plays more rounds than an ordinary run does.

const scripts = fileURLToPath(new URL("scripts", import.meta.url));
const rounds = Number(process.env["HERMES_SUPERVISOR_HAND_OVERS"] ?? "1");
const slotMs = 10_000;

interface Verified {
  readonly ok: boolean;
  readonly laws: readonly { readonly violations: readonly unknown[] }[];
}

function startsOf(home: Home): readonly number[] {
  return lines(home, "starts.log").map((line) => Number(line) * 1000);
}

/** A slot that begins while Hermes runs the job itself is dropped by it. Its runs here take less than this. */
const runMs = 3000;

/** Slots in which the job started otherwise than once, the first and the last left out. */
function wrongSlots(starts: readonly number[]): readonly string[] {
  const counts = new Map<number, number>();
  for (const at of starts) {
    const slot = Math.floor(at / slotMs);
    counts.set(slot, (counts.get(slot) ?? 0) + 1);
  }
  const [first = 0, last = 0] = [Math.min(...counts.keys()), Math.max(...counts.keys())];
  const wrong: string[] = [];
  for (let slot = first + 1; slot < last; slot++) {
    const count = counts.get(slot) ?? 0;
    const begin = slot * slotMs;
    const wasRunning = starts.some((at) => at < begin && at > begin - runMs);
    if (count > 1 || (count === 0 && !wasRunning)) wrong.push(`${new Date(begin).toISOString()}: ${count}`);
  }
  return wrong;
}

describe.each(Object.values(releases))("$name", (release) => {
  let home: Home;

  beforeAll(async () => {
    home = createHome(await hermesPython(release), scripts);
    writeFileSync(`${home.path}/scripts/starts.sh`, 'echo "$EPOCHREALTIME" >> "$HERMES_HOME/starts.log"\nsleep 0.3\n');
    await createJob(home, "* * * * * */10", "--no-agent", "--script", "starts.sh", "--name", "starts");
  });
  afterEach(stopAll);
  afterAll(() => removeHome(home));

  test(
    `each slot runs once over ${rounds} hand-overs each way`,
    async () => {
      expect((await supervisor(home, "gateway", "attach", "--yes")).code).toBe(0);
      const gateway = await startGateway(home, 1);
      const more = async (count: number): Promise<void> => {
        const wanted = startsOf(home).length + count;
        await until("the job to run again", () => startsOf(home).length >= wanted, patienceMs);
      };
      for (let round = 0; round < rounds; round++) {
        const daemon = await startDaemon(home);
        await more(1);
        // In every part of a slot, and by both of its ends.
        await new Promise((resolve) => setTimeout(resolve, (round * 2711) % slotMs));
        await (round % 2 === 0 ? daemon.kill() : daemon.handOver());
        await more(1);
        await new Promise((resolve) => setTimeout(resolve, (round * 1933) % 4000));
      }
      const daemon = await startDaemon(home);
      await more(1);
      expect(wrongSlots(startsOf(home))).toEqual([]);
      const verified = await readJson<Verified>(home, "verify");
      expect([verified.ok, verified.laws.flatMap(({ violations }) => violations)]).toEqual([true, []]);
      await daemon.drain();
      await gateway.stop();
    },
    120_000 + rounds * 60_000,
  );
});
