import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { packageRoot } from "../../src/system/package-root.ts";
import {
  isAlive,
  isoIn,
  makeSupervisedHome,
  type SupervisedHome,
  scriptJob,
  until,
} from "../helpers/supervised-home.ts";

/** A daemon that is process 1 of a container: a PID namespace of its own, and nothing writable but its home and /tmp's stand-in. */
function startContained(home: SupervisedHome): { readonly unshare: ChildProcess; readonly log: () => string } {
  const folder = join(home.path, "..");
  // The repository may lie below /tmp, so the whole tree is made read-only and the test's folder is put over it.
  const setUp = `mount --rbind "${folder}" "${folder}" && mount -o remount,bind,ro / && shift && exec "$@"`;
  const unshare = spawn(
    "unshare",
    ["-rpfm", "--mount-proc", "--kill-child", "sh", "-c", setUp, "-", "-", ...home.command("start")],
    {
      env: {
        PATH: process.env["PATH"],
        HOME: folder,
        TMPDIR: folder,
        TZ: "UTC",
        HERMES_SUPERVISOR_SHUTDOWN_ON_SIGTERM: "stop",
        NODE_COMPILE_CACHE: join(folder, "cache"),
      },
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  let log = "";
  unshare.stderr!.setEncoding("utf8").on("data", (part: string) => {
    log += part;
  });
  const exited = new Promise<void>((resolve) => unshare.once("exit", () => resolve()));
  onTestFinished(async () => {
    unshare.kill("SIGKILL");
    await exited;
  });
  return { unshare, log: () => log };
}

function childrenOf(pid: number): readonly { readonly pid: number; readonly state: string }[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/u.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "utf8");
        const [state = "", parent = ""] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        return Number(parent) === pid ? [{ pid: Number(name), state }] : [];
      } catch {
        return [];
      }
    });
}

test("as process 1 on a read-only system the daemon runs jobs, reaps what they leave, and SIGTERM stops its runs", async () => {
  const home = makeSupervisedHome();
  // Orphans that end after their run, each in a session of its own, where nothing of the run is looked for any more.
  home.script("leaves.sh", "for i in 1 2 3 4 5; do (setsid sh -c 'sleep 0.1' & ); done\necho done\n");
  home.script("long.sh", "echo begun; sleep 600\n");
  home.file("config.yaml", "cron: {max_parallel_jobs: 4}\n");
  home.hostConfig("jobs: {job aaaaaaaaaaaa: {detach: true}}\n");
  home.writeJobs([
    scriptJob("aaaaaaaaaaaa", "* * * * * *", "leaves.sh"),
    scriptJob("bbbbbbbbbbbb", 60, "long.sh", { next_run_at: isoIn(-500) }),
  ]);
  const { unshare, log } = startContained(home);
  await until(() => log().includes('"msg":"ready"') || (unshare.exitCode !== null && expect.fail(log())));
  const [daemon] = childrenOf(unshare.pid!);
  await until(() => home.runs().filter((run) => run.state === "completed").length >= 2);
  const long = await until(() => home.runs().find((run) => run.job_id === "bbbbbbbbbbbb" && run.state === "running"));
  // A zombie is there for a moment before it is collected; one that is never collected stays.
  const zombies = new Set(
    childrenOf(daemon!.pid)
      .filter(({ state }) => state === "Z")
      .map(({ pid }) => pid),
  );
  await until(() => [...zombies].every((pid) => childrenOf(daemon!.pid).every((child) => child.pid !== pid)));
  process.kill(daemon!.pid, "SIGTERM");
  await until(() => unshare.exitCode !== null);
  expect(unshare.exitCode).toBe(0);
  expect(home.runs().find((run) => run.id === long.id)).toMatchObject({ state: "failed", reason: "stopped" });
  expect(isAlive(daemon!.pid)).toBe(false);
});

test("the container's recipe names files and commands that there are", () => {
  const root = packageRoot();
  const compose = parse(readFileSync(join(root, "config/container/compose.yaml"), "utf8"));
  const { build, ...service } = compose.services.supervisor;
  expect(existsSync(join(root, "config/container", build.context, build.dockerfile))).toBe(true);
  expect(service).toMatchObject({ read_only: true, user: "1000:1000", cap_drop: ["ALL"], hostname: "supervisor" });
  expect(compose.services.gateway.volumes).toEqual(service.volumes);
  const dockerfile = readFileSync(join(root, "config/container/Dockerfile"), "utf8");
  const variables = Object.fromEntries(
    [...dockerfile.matchAll(/^ENV (HERMES_SUPERVISOR_\w+)=(\S+)$/gmu)].map(([, name, value]) => [name, value]),
  );
  const home = makeSupervisedHome();
  const [node = "", ...words] = home.command("config", "show");
  const env = { PATH: process.env["PATH"], HOME: home.path, ...variables };
  const shown = spawnSync(node, words, { encoding: "utf8", env });
  expect([shown.status, shown.stdout]).toEqual([0, expect.stringMatching(/shutdown\.on_sigterm +stop/u)]);
  const [, , script = ""] = JSON.parse(/^ +CMD (\[.*\])$/mu.exec(dockerfile)?.[1] ?? "[]") as readonly string[];
  const ask = spawnSync(process.execPath, ["-e", script], { env: { HERMES_HOME: home.path } });
  expect([ask.status, ask.stderr.toString()]).toEqual([1, ""]);
});
