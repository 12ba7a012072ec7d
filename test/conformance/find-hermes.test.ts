import { readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { hermesCandidates, hermesIdentity } from "../../src/homes/find-hermes.ts";
import type { StatusJson } from "../../src/status/snapshot.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { isoIn, makeSupervisedHome, scriptJob, until } from "../helpers/supervised-home.ts";
import { finish, start } from "./home.ts";
import { hermesPython, type Release, releases } from "./releases.ts";

test("one daemon finds each release by the hermes on its home's PATH, with its version", async () => {
  const home = makeSupervisedHome();
  const expected = new Map<string, unknown>();
  for (const release of Object.values(releases)) {
    const folder = dirname(await hermesPython(release));
    const profile = home.profile(`on-${release.name.replace(".", "-")}`);
    writeFileSync(join(profile, ".env"), `PATH=${folder}:/usr/bin:/bin\n`);
    const places = { named: null, path: folder, userHome: null, rootHome: home.path, toolFolders: [] };
    const [candidate = { python: "", checkout: null }] = hermesCandidates({ files: createFiles() }, places);
    expect(dirname(candidate.python)).toBe(folder);
    // Another version has another record; the same version, installed again, has it written anew.
    const [name, version] = release.requirement.split("==");
    const record = `/site-packages/${name?.replaceAll("-", "_")}-${version}.dist-info/RECORD `;
    expect(hermesIdentity({ files: createFiles() }, candidate, "/worker.py", null, [])).toContain(record);
    expected.set(`on-${release.name.replace(".", "-")}`, { python: candidate.python, version });
  }
  home.start({ PATH: "/usr/bin:/bin" });
  const found = await until(() => {
    const status: StatusJson = home.ask("status").json;
    const hermes = new Map(status.homes.map((one) => [one.name, one.hermes]));
    hermes.delete("default");
    return hermes.size === expected.size && [...hermes.values()].every((one) => one !== null) && hermes;
  }, 120_000);
  expect(found).toEqual(expected);
});

test("a link that is turned to another release is noticed in mid-life", async () => {
  const home = makeSupervisedHome();
  const link = join(home.path, "current");
  const turn = async (release: Release): Promise<void> => {
    symlinkSync(dirname(dirname(await hermesPython(release))), `${link}.new`);
    renameSync(`${link}.new`, link);
  };
  await turn(releases["0.19"]);
  home.start({ HERMES_SUPERVISOR_PYTHON: `${link}/bin/python` });
  for (const release of [releases["0.19"], releases["0.22"]]) {
    await turn(release);
    const version = await until(() => {
      const status: StatusJson = home.ask("status").json;
      const found = status.homes[0]?.hermes?.version;
      return found !== undefined && release.requirement.endsWith(`==${found}`) && found;
    }, 120_000);
    expect(release.requirement).toContain(version);
  }
});

test("an installation from source is found by its launcher, and its Python scripts find there what Hermes lets them find", async () => {
  const home = makeSupervisedHome();
  const python = await hermesPython(releases["0.22"]);
  const script = fileURLToPath(new URL("source-install.py", import.meta.url));
  const variables = { HOME: home.path, HERMES_HOME: home.path, HERMES_DISABLE_LAZY_INSTALLS: "1" };
  const made = await finish(start(python, [script, home.path], { ...variables, PATH: "/usr/bin:/bin" }));
  expect(made.stderr).toBe("");
  const folder = made.stdout.trim();
  home.script(
    "ünder 🐍.py",
    `import os, sys, hermes_constants, httpx
names = "__name__", "__file__"
print(sys.executable, sys.argv, sys.path[:2], hermes_constants.__file__, [globals()[name] for name in names], os.getcwd())
print(os.environ["HERMES_DISABLE_LAZY_INSTALLS"], "PYTHONPATH" in os.environ, sys.flags)
`,
  );
  const id = "aaaaaaaaaaaa";
  home.writeJobs([scriptJob(id, 60, "ünder 🐍.py", { next_run_at: isoIn(3_600_000) })]);
  const theirs = await finish(start(`${folder}/hermes`, ["cron", "run", id], { ...variables, PATH: "/usr/bin:/bin" }));
  expect(theirs.stdout).toContain("Ran now: succeeded.");
  const documents = (): readonly string[] => {
    const output = join(home.path, "cron/output", id);
    return readdirSync(output).map((name) => readFileSync(join(output, name), "utf8").split("\n---\n").at(-1) ?? "");
  };
  const [expected] = documents();
  expect(expected).toContain(`${home.path}/hermes-agent/hermes_constants.py`);

  // Beside its launcher the command is found, as it is in a terminal.
  home.start({ PATH: `${folder}:/usr/bin:/bin` });
  const found = await until(() => {
    const status: StatusJson = home.ask("status").json;
    return status.homes[0]?.hermes;
  }, 120_000);
  expect(found).toEqual({ python: join(home.path, "tools/python/bin/python3"), version: "0.22.2.post1" });
  expect(home.ask("run", id).status).toBe(0);
  expect(documents()).toEqual([expected, expected]);
});
