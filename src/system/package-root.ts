import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of this package, whether it runs from `src/` or from `dist/`. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(`${folder}/package.json`)) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`Cannot find the package of "${import.meta.url}": no package.json above it`);
    folder = parent;
  }
  return folder;
}
