import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseHomeConfig } from "../../src/config/parse-config.ts";
import { findHomes } from "../../src/homes/find-homes.ts";
import { resolveHermesSettings } from "../../src/homes/home-config.ts";
import { createFiles } from "../../src/system/real-files.ts";

const vectors = join(import.meta.dirname, "../fixtures/vectors");
const recorded = readdirSync(vectors)
  .filter((name) => name.startsWith("hermes-") && existsSync(join(vectors, name, "homes")))
  .flatMap((release) =>
    readdirSync(join(vectors, release, "homes")).map((home) => join(vectors, release, "homes", home)),
  );

test("every home that Hermes recorded is found with its profiles, and its config is read", () => {
  expect(recorded.length).toBeGreaterThan(0);
  for (const root of recorded) {
    const { homes, error } = findHomes({ files: createFiles() }, root);
    expect([root, error]).toEqual([root, null]);
    const profiles = join(root, "profiles");
    const folders = existsSync(profiles) ? readdirSync(profiles).filter((name) => !name.startsWith(".")) : [];
    const withConfig = folders.filter((name) => existsSync(join(profiles, name, "config.yaml"))).sort();
    const deleted = existsSync(join(profiles, ".deleted")) ? readdirSync(join(profiles, ".deleted")) : [];
    expect([root, homes.map(({ name }) => name)]).toEqual([
      root,
      ["default", ...withConfig.filter((name) => !deleted.includes(name))],
    ]);
    for (const { path } of homes) {
      const file = join(path, "config.yaml");
      if (!existsSync(file)) continue;
      expect([file, resolveHermesSettings(parseHomeConfig(readFileSync(file), file).hermes, {}).warnings]).toEqual([
        file,
        [],
      ]);
    }
  }
});
