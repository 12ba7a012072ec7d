import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { createFiles } from "../../src/system/real-files.ts";

const refusal = vi.hoisted(() => ({ code: "EBUSY" }));

// A file that is mounted by itself, as containers do: nothing can be renamed over it.
vi.mock("node:fs", async (importOriginal) => ({
  ...(await importOriginal<typeof import("node:fs")>()),
  renameSync(from: string) {
    throw Object.assign(new Error(`${refusal.code}: rename '${from}'`), { code: refusal.code });
  },
}));

for (const code of ["EBUSY", "EXDEV"]) {
  for (const text of ["short", "a text that is longer than the one before"]) {
    test(`replace() writes in place where a rename answers ${code}: ${text}`, () => {
      refusal.code = code;
      const folder = createFolder();
      const path = join(folder, "jobs.json");
      writeFileSync(path, "the text before", { mode: 0o640 });
      const before = statSync(path, { bigint: true });
      const identity = createFiles().replace(path, ".jobs_a.tmp", text, 0o600);
      const after = statSync(path, { bigint: true });
      expect(readFileSync(path, "utf8")).toBe(text);
      expect(after.ino).toBe(before.ino);
      expect(after.mode).toBe(before.mode);
      expect(identity.modifiedNs).toBe(after.mtimeNs);
      expect(identity.sizeBytes).toBe(text.length);
      expect(readdirSync(folder)).toEqual(["jobs.json"]);
    });
  }
}

test("replace() changes nothing and leaves nothing behind where a rename is refused for another reason", () => {
  refusal.code = "EACCES";
  const folder = createFolder();
  const path = join(folder, "jobs.json");
  writeFileSync(path, "the text before");
  expect(() => createFiles().replace(path, ".jobs_a.tmp", "new", 0o600)).toThrow(
    expect.objectContaining({ code: "EACCES" }),
  );
  expect(readFileSync(path, "utf8")).toBe("the text before");
  expect(readdirSync(folder)).toEqual(["jobs.json"]);
});

function createFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "replace-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}
