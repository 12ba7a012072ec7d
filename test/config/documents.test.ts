import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { checkSettings } from "../../src/config/check-settings.ts";
import { readOverrides } from "../../src/config/overrides.ts";
import { parseHomeConfig, parseHostConfig } from "../../src/config/parse-config.ts";
import { fallbackOf, settings } from "../../src/config/schema.ts";
import { parseYamlText } from "../../src/config/yaml-text.ts";
import { resolveHermesSettings, shownHermesSettings } from "../../src/homes/home-config.ts";
import { hermesRows } from "../helpers/config-documents.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Every page that a person reads, with its examples of a config. */
const pages = [
  "README.md",
  "CHANGELOG.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
].map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));

/** At the top of files of other programs: Prometheus, Compose, Kubernetes. */
const foreignKeys = ["scrape_configs", "rule_files", "groups", "services", "apiVersion"];

test("every YAML example in the documents is a valid config", () => {
  const examples = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/^```ya?ml\n([\s\S]*?)^```/gm)].map((match) => ({ path, example: match[1] ?? "" })),
  );
  expect(examples.map(({ path }) => path)).toEqual(expect.arrayContaining(["docs/config.md", "docs/retries.md"]));
  for (const { path, example } of examples) {
    const { value } = parseYamlText(example, path, "1.2");
    if (foreignKeys.some((key) => typeof value === "object" && value !== null && key in value)) continue;
    const isOfHome =
      typeof value === "object" && value !== null && ["supervisor", "cron", "timezone"].some((key) => key in value);
    if (isOfHome) expect([path, parseHomeConfig(example, path).sectionError]).toEqual([path, null]);
    else expect([path, Object.keys(parseHostConfig(example, path).values).length > 0]).toEqual([path, true]);
  }
});

test("every flag and variable that the documents show sets something", () => {
  const flags = pages.flatMap(({ text }) =>
    [...text.matchAll(/--set ((?:[a-z_]+\.)+[^\s=`]*=[^\s`]+)/g)].map((match) => match[1] ?? ""),
  );
  const variables = pages.flatMap(({ text }) => [...text.matchAll(/`(HERMES_SUPERVISOR_[A-Z_]+)=([^`\s]+)`/g)]);
  expect(flags).toEqual(expect.arrayContaining(["stop.grace=30s", "jobs.nightly.timeout=4h"]));
  expect(variables.map((match) => match[1])).toContain("HERMES_SUPERVISOR_STOP_GRACE");
  expect(readOverrides(flags, {}).errors).toEqual([]);
  for (const [, name = "", text = ""] of variables) {
    const { layers, errors } = readOverrides([], { [name]: text });
    expect([name, layers.length, errors]).toEqual([
      name,
      name === "HERMES_SUPERVISOR_STOP_GRACE" ? 1 : layers.length,
      [],
    ]);
  }
});

test("every default is a value that its own setting takes", () => {
  for (const setting of settings) {
    if (setting.fallback === null) expect(fallbackOf(setting)).toBeNull();
    else expect([setting.key, fallbackOf(setting) === undefined]).toEqual([setting.key, false]);
    const [section = "", name = ""] = setting.key.split(".");
    const value = setting.fallback === null ? undefined : parseYamlText(setting.fallback, setting.key, "1.2").value;
    expect([setting.key, checkSettings({ [section]: { [name]: value } }, "host").problems]).toEqual([setting.key, []]);
  }
});

/** Of each of Hermes' settings two values that can be told apart. */
const values: Readonly<Record<string, unknown>> = {
  HERMES_CRON_MAX_PARALLEL: "7",
  HERMES_CRON_MAX_WORKERS: "6",
  "cron.max_parallel_jobs": 5,
  HERMES_CRON_SCRIPT_TIMEOUT: "70",
  "cron.script_timeout_seconds": 60,
  "cron.output_retention": 9,
  HERMES_TIMEZONE: "Asia/Tokyo",
  timezone: "Europe/Berlin",
};
const shownAs = ["cron.max_parallel_jobs", "cron.script_timeout_seconds", "cron.output_retention", "timezone"];

test("Hermes' own settings count in the order that docs/config.md says, and have its defaults", () => {
  for (const [index, { what, order, fallback }] of hermesRows.entries()) {
    for (let first = 0; first <= order.length; first++) {
      const set = order.slice(first);
      const variables = Object.fromEntries(
        set.filter((name) => name.startsWith("HERMES_")).map((name) => [name, String(values[name])]),
      );
      const cron = Object.fromEntries(
        set.filter((name) => name.startsWith("cron.")).map((name) => [name.slice(5), values[name]]),
      );
      const hermes = { cron, ...(set.some((name) => name === "timezone") ? { timezone: values["timezone"] } : {}) };
      const shown = shownHermesSettings(resolveHermesSettings(hermes, variables), new Map());
      const found = shown.find(({ key }) => key === shownAs[index]);
      const winner = set[0];
      const usual = fallback === "the server's" ? null : Number.parseInt(fallback, 10);
      const expected = winner === undefined ? usual : values[winner];
      expect([what, winner, found?.source, String(found?.value)]).toEqual([
        what,
        winner,
        winner ?? "default",
        String(expected),
      ]);
    }
  }
});
