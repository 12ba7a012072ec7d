import { renameSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { hermesCandidates, hermesIdentity } from "../../src/homes/find-hermes.ts";
import type { StatusJson } from "../../src/status/snapshot.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { makeSupervisedHome, until } from "../helpers/supervised-home.ts";
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

test("an installation from source is found by its launcher, with its packages", async () => {
  const home = makeSupervisedHome();
  const python = await hermesPython(releases["0.22"]);
  const script = fileURLToPath(new URL("source-install.py", import.meta.url));
  const made = await finish(
    start(python, [script, join(home.path, "data")], { PATH: "/usr/bin:/bin", HOME: home.path }),
  );
  expect(made.stderr).toBe("");
  home.start({ PATH: `${made.stdout.trim()}:/usr/bin:/bin` });
  const found = await until(() => {
    const status: StatusJson = home.ask("status").json;
    return status.homes[0]?.hermes;
  }, 120_000);
  expect(found).toEqual({ python: join(home.path, "data/tools/python/bin/python3"), version: "0.22.2.post1" });
});
