import { expect, test } from "vitest";
import { parseEnvFile } from "../../src/homes/env-file.ts";
import { snapshotEnvironment } from "../../src/homes/environment.ts";
import { promptEnvironment } from "../../src/homes/prompt-environment.ts";

test("promptEnvironment() leaves to Hermes what would make another interpreter of its own", () => {
  const file = parseEnvFile(
    "PYTHONHOME=/nowhere\nPYTHONPATH=/shadows\nLD_LIBRARY_PATH=/old\nDYLD_X=1\nKEY=a\nPATH=/usr/bin\n",
    "/h/.env",
  );
  const daemon = { PYTHONUTF8: "1", PYTHONPATH: "/mine", PATH: "/bin", OTHER: "x" };
  const snapshot = snapshotEnvironment(daemon, ["PYTHONUTF8"], file, "/h", "key");
  expect(promptEnvironment(snapshot, null)).toEqual({
    HERMES_DISABLE_LAZY_INSTALLS: "1",
    HERMES_HOME: "/h",
    KEY: "a",
    PATH: "/usr/bin",
    PYTHONUTF8: "1",
  });
  expect(promptEnvironment(snapshot, "/src")).toMatchObject({ HERMES_PYTHON_SRC_ROOT: "/src" });
});
