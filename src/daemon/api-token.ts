import { type FileStat, kindTexts, sameFile } from "../system/files.ts";
import type { System } from "../system/system.ts";

const tokenLength = 40;
const tokenBytesMax = 4096;

/** The token of the port, from a file that only this user can read. Another one is in force as soon as the file has changed. */
export interface ApiToken {
  /** Null when the file cannot be used; `fault` then says why. */
  value(): string | null;
  fault(): string | null;
}

/** Makes the file where there is none. */
export function createApiToken(system: Pick<System, "files" | "random">, path: string): ApiToken {
  const { files } = system;
  let seen: FileStat | null = null;
  let token: string | null = null;
  let fault: string | null = null;

  function look(): void {
    try {
      if (files.stat(path) === null) files.create(path, `${system.random.token(tokenLength)}\n`, 0o600);
      const stat = files.stat(path);
      if (stat === null || (sameFile(seen, stat) && seen?.mode === stat.mode)) return;
      seen = stat;
      [token, fault] = read(stat);
    } catch (error) {
      seen = null;
      [token, fault] = [null, error instanceof Error ? error.message : String(error)];
    }
  }

  function read(stat: FileStat): readonly [string | null, string | null] {
    const refused = (what: string): readonly [null, string] => [null, `Cannot use the token in "${path}": ${what}`];
    if (stat.kind !== "file") return refused(`it is ${kindTexts[stat.kind]}, expected a file`);
    if ((stat.mode & 0o077) !== 0) {
      const mode = (stat.mode & 0o777).toString(8).padStart(4, "0");
      return refused(`others may open it (mode ${mode}), expected 0600; chmod it, and change the token in it`);
    }
    if (stat.sizeBytes > tokenBytesMax) return refused(`it has ${stat.sizeBytes} bytes, expected one short line`);
    const text = files.readText(path).trim();
    if (!/^[\x21-\x7e]{16,}$/u.test(text)) return refused("expected one word of at least 16 characters");
    return [text, null];
  }

  return {
    value() {
      look();
      return token;
    },
    fault() {
      look();
      return fault;
    },
  };
}
