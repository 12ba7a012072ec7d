import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { executions } from "./executions.ts";
import {
  createHome,
  createJob,
  editRecord,
  type Home,
  hermes,
  hermesLibrary,
  lines,
  removeHome,
  stopAll,
  storedJob,
  until,
} from "./home.ts";
import { hermesPython, releases } from "./releases.ts";
import { startDaemon, supervisor } from "./supervisor.ts";

// Our rows in Hermes' own ledger, as real Hermes reads and judges them. hermes-suite.ts compares them with Hermes' own.

const scripts = fileURLToPath(new URL("scripts", import.meta.url));
const judge = "from cron.executions import recover_interrupted_executions as judge; print(judge())";
const zoneMinutes = 330;

/** A time as Hermes writes it, in the zone of the test homes. */
function stored(ms: number): string {
  return `${new Date(ms + zoneMinutes * 60_000).toISOString().slice(0, 19)}+05:30`;
}

async function makeDue(home: Home, name: string, at = stored(Date.now() - 10_000)): Promise<void> {
  await editRecord(home, name, { next_run_at: at });
}

async function once(home: Home): Promise<void> {
  const ended = await supervisor(home, "start", "--once");
  expect(ended.code, ended.stderr).toBe(0);
}

function isDead(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

for (const release of Object.values(releases)) {
  describe(`beside ${release.name}`, () => {
    const homes: Home[] = [];
    let python: string;

    beforeAll(async () => {
      python = await hermesPython(release);
    });
    afterEach(stopAll);
    afterAll(() => {
      for (const home of homes) removeHome(home);
    });

    function newHome(): Home {
      const home = createHome(python, scripts);
      homes.push(home);
      return home;
    }

    test("cron runs and cron list show our runs, and that of a script that failed why", async () => {
      const home = newHome();
      for (const name of ["report", "broken"])
        await createJob(home, "every 30m", "--no-agent", "--script", `${name}.sh`, "--name", name);
      for (const name of ["report", "broken"]) await makeDue(home, name);
      // Whatever a command made of it: the daemon has Hermes make it anew, as its own first run would.
      rmSync(`${home.path}/cron/executions.db`, { force: true });
      await once(home);
      const [report, broken] = ["report", "broken"].map((name) =>
        executions(home).find((row) => row.job_id === storedJob(home, name).id),
      );
      expect(executions(home)).toHaveLength(2);
      const runs = (await hermes(home, "cron", "runs")).stdout.split("\n");
      for (const row of [report, broken]) {
        const word = row === report ? "completed" : "failed   ";
        expect(runs).toContain(`${row?.id}  ${word}  job=${row?.job_id}  source=supervisor  ${row?.claimed_at}`);
      }
      expect(runs).toContain("    Script exited with code 3");
      const list = (await hermes(home, "cron", "list")).stdout;
      expect(list).toMatch(new RegExp(`Execution: +completed +${report?.id}`, "u"));
      expect(list).toMatch(new RegExp(`Execution: +failed +${broken?.id}`, "u"));
    });

    test("a live run is left alone, one that died is unknown, and the next daemon says how it ended", async () => {
      const home = newHome();
      await createJob(home, "every 4h", "--no-agent", "--script", "slow.sh", "--name", "slow");
      await makeDue(home, "slow");
      const first = await startDaemon(home);
      await until("the run's row", () => executions(home)[0]?.status === "running");
      const [live] = executions(home);
      expect((await hermesLibrary(home, "-c", judge)).stdout).toBe("0\n");
      await first.handOver();
      expect((await hermesLibrary(home, "-c", judge)).stdout).toBe("0\n");
      expect(executions(home)).toEqual([live]);
      const pid = live?.pid ?? 0;
      process.kill(-pid, "SIGKILL");
      await until("the end of the run", () => isDead(pid));
      expect((await hermesLibrary(home, "-c", judge)).stdout).toBe("1\n");
      expect(executions(home)).toMatchObject([{ id: live?.id, status: "unknown" }]);
      const second = await startDaemon(home);
      await until("the end in the ledger", () => executions(home)[0]?.status === "failed");
      expect(executions(home)).toMatchObject([
        {
          id: live?.id,
          error: "orphaned: The supervisor died while this run was open and nobody saw how it ended",
        },
      ]);
      await second.drain();
      expect((await hermes(home, "cron", "runs")).stdout).toContain(`${live?.id}  failed     job=${live?.job_id}`);
    });

    test("an instant that one of us completed is run again by neither, where the release keeps instants", async () => {
      const home = newHome();
      await createJob(home, "every 30m", "--no-agent", "--script", "report.sh", "--name", "report");
      const at = stored(Date.now() - 10_000);
      await makeDue(home, "report", at);
      expect((await hermes(home, "cron", "tick")).code).toBe(0);
      const keeps = executions(home).some((row) => row["scheduled_instant"] != null);
      expect(keeps).toBe(release.name === "0.22");
      await makeDue(home, "report", at);
      await once(home);
      expect(lines(home, "runs.log")).toHaveLength(keeps ? 1 : 2);

      const later = stored(Date.now() - 5000);
      await makeDue(home, "report", later);
      await once(home);
      const ours = executions(home).at(-1);
      expect(ours).toMatchObject({ source: "supervisor", status: "completed" });
      const before = lines(home, "runs.log").length;
      await makeDue(home, "report", later);
      expect((await hermes(home, "cron", "tick")).code).toBe(0);
      expect(lines(home, "runs.log")).toHaveLength(keeps ? before : before + 1);
    });
  });
}
