import { spawnSync } from "node:child_process";
import { afterEach, beforeEach, expect, test } from "vitest";
import { completionScripts } from "../../src/cli/completion-scripts.ts";
import { type CliHome, claimedRun, createCliHome, record } from "./cli-home.ts";

let home: CliHome;

beforeEach(() => {
  home = createCliHome();
});

afterEach(() => home.remove());

/** The values that are offered for the last of these words. */
async function offered(...words: readonly string[]): Promise<readonly string[]> {
  const { out, error, exitCode } = await home.run("__complete", "--", ...words);
  expect({ error, exitCode }).toEqual({ error: "", exitCode: 0 });
  return out
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split("\t")[0] ?? "");
}

test("completion offers commands, options and their values", async () => {
  expect(await offered("st")).toEqual(["start", "status", "stop"]);
  expect(await offered("gateway", "")).toEqual(["attach", "detach", "status"]);
  expect(await offered("gateway", "attach", "--y")).toEqual(["--yes"]);
  expect(await offered("runs", "--s")).toEqual(["--state", "--since"]);
  expect(await offered("next", "--st")).toEqual(["--state"]);
  expect(await offered("runs", "--state", "c")).toEqual(["claimed", "completed"]);
  expect(await offered("runs", "--limit", "")).toEqual([]);
  expect(await offered("runs", "--state=c")).toEqual(["--state=claimed", "--state=completed"]);
  expect(await offered("runs", "--limit=")).toEqual([]);
  expect(await offered("--home=/t")).toEqual([":files"]);
  expect(await offered("--nonsense=x")).toEqual([]);
  expect(await offered("completion", "")).toEqual(["bash", "zsh", "fish"]);
  expect(await offered("--home", "")).toEqual([":files"]);
  expect(await offered("__comp")).toEqual([]);
  expect(await offered("nonsense", "")).toEqual([]);
  expect(await offered()).toContain("explain");
});

test("completion offers jobs by their names, and by ids where a name does not do", async () => {
  home.jobs([
    record("aaaa11112222", "nightly backup 🚀"),
    record("aaaa33334444", "twice"),
    record("bbbb11112222", "twice"),
  ]);
  home.jobs([record("cccc11112222", "report")], "team");
  home.ledger((ledger) => ledger.claim([claimedRun("run000000001", "aaaa11112222", "nightly")]));
  expect(await offered("explain", "")).toEqual(["nightly backup 🚀", "aaaa33334444", "bbbb11112222", "report"]);
  expect(await offered("explain", "nig")).toEqual(["nightly backup 🚀"]);
  expect(await offered("explain", '"nightly b')).toEqual(["nightly backup 🚀"]);
  expect(await offered("explain", "nightly\\ b")).toEqual(["nightly backup 🚀"]);
  expect(await offered("explain", "aaaa1")).toEqual(["aaaa11112222"]);
  expect(await offered("explain", "team/")).toEqual(["team/report", "team/cccc11112222"]);
  expect(await offered("explain", "report", "")).toEqual([]);
  expect(await offered("logs", "run0")).toEqual(["run000000001"]);
  expect(await offered("gateway", "attach", "t")).toEqual(["team"]);
  expect(await offered("--home", "/nowhere", "explain", "")).toEqual([]);
});

test("completion offers nothing that a terminal or a shell would obey", async () => {
  home.jobs([
    record("aaaa11112222", "\u001b[31mred\n:files\trm -rf"),
    record("bbbb11112222", "\u202eevil"),
    record("cccc11112222", "x".repeat(10_000)),
    record("dddd11112222", "--now"),
    record("eeee11112222", "$(reboot) `id`; true"),
  ]);
  const { out } = await home.run("__complete", "--", "explain", "");
  expect(out.replace(/[\n\t]/g, "")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(out.split("\n").map((line) => line.split("\t")[0])).toEqual([
    "aaaa11112222",
    "bbbb11112222",
    "cccc11112222",
    "dddd11112222",
    "$(reboot) `id`; true",
    "",
  ]);
  expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThan(160);
});

test("completion is silent where there is nothing to read", async () => {
  home.write("cron/jobs.json", "{ broken");
  expect(await offered("explain", "")).toEqual([]);
  home.write("supervisor/supervisor.db", "no ledger at all".repeat(100));
  expect(await offered("logs", "r")).toEqual([]);
});

/** What bash is to put in for the last of these words, as readline parts them; `offers` are what the program answers. */
function bashOffers(words: readonly string[], line: string, offers: readonly string[]): unknown {
  const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  const script = `${completionScripts.bash}
hermes-supervisor() { printf '%s\n' "\${@: -1}" >&3; printf '%s\tabout\n' ${offers.map(quoted).join(" ")}; }
COMP_WORDS=(${words.map(quoted).join(" ")}); COMP_CWORD=${words.length - 1}; COMP_LINE=${quoted(line)}
exec 3>&2
_hermes_supervisor hermes-supervisor
printf '%s\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync("bash", ["--norc", "-c", script], { encoding: "utf8" });
  return { asked: stderr, put: stdout.trimEnd().split("\n") };
}

test("bash puts each offer in as one word, and behind a colon or an equals sign only the rest of it", () => {
  const hostile = ["quick check", "$(touch /nowhere/x)"];
  expect(bashOffers(["hs", "explain", "qu"], "hs explain qu", hostile)).toEqual({
    asked: "qu\n",
    put: ["quick\\ check", "\\$\\(touch\\ /nowhere/x\\)"],
  });
  expect(bashOffers(["hs", "explain", '"qu'], 'hs  explain "qu', hostile)).toEqual({ asked: '"qu\n', put: hostile });
  const backups = ["backup:db", "backup:d 2"];
  for (const [last, typed, put] of [
    [["backup", ":", "d"], "backup:d", ["db", "d\\ 2"]],
    [["backup", ":"], "backup:", ["db", "d\\ 2"]],
    [["back"], "back", ["backup:db", "backup:d\\ 2"]],
  ] as const)
    expect(bashOffers(["hs", "explain", ...last], `hs explain ${typed}`, backups)).toEqual({
      asked: `${typed}\n`,
      put,
    });
  expect(bashOffers(["hs", "runs", "--state", "=", "f"], "hs runs --state=f", ["--state=failed"])).toEqual({
    asked: "--state=f\n",
    put: ["failed"],
  });
  expect(bashOffers(["hs", "explain", ""], "hs explain ", ["plain"])).toEqual({ asked: "\n", put: ["plain"] });
});
