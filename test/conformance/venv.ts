import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const repository = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/u, "");
const script = fileURLToPath(new URL("make-venv.py", import.meta.url));

// The plain names come last: they may be a Python that a released Hermes refuses.
const candidates = ["python3.11", "python3.12", "python3.13", "python3", "python"];
const probe = "import ensurepip, sys, venv; print(sys.version_info >= (3, 11), sys._base_executable)";

/**
 * The interpreter of a virtual environment that holds `requirements`, under `<repository>/.cache/venvs/<name>`. It is made on
 * the first call and used again afterwards; asking for other requirements under the same name makes it anew.
 */
export async function venvPython(name: string, ...requirements: readonly string[]): Promise<string> {
  const folder = `${repository}/.cache/venvs/${name}`;
  const base = await findPython();
  try {
    await run(base, [script, folder, ...requirements], { maxBuffer: 1 << 26 });
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : String(error);
    throw new Error(`Cannot install ${requirements.join(" ")} into "${folder}": ${said}`, { cause: error });
  }
  const python = `${folder}/bin/python`;
  if (!existsSync(python))
    throw new Error(`Cannot use "${folder}": it has no bin/python, expected a virtual environment`);
  return python;
}

/** A Python that is new enough for every released Hermes and can make virtual environments. */
export async function findPython(): Promise<string> {
  for (const candidate of candidates) {
    try {
      const { stdout } = await run(candidate, ["-c", probe]);
      const [newEnough, path] = stdout.trim().split(" ", 2);
      if (newEnough === "True" && path !== undefined) return path;
    } catch {
      // Not installed, or a launcher without the version behind it: the next name may do.
    }
  }
  throw new Error(`Cannot find Python: tried ${candidates.join(", ")}, expected 3.11 or newer with its venv module`);
}
