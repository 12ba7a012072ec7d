import { expect, test } from "vitest";
import { documentHead, readDocument, scriptResult } from "../../src/core/script-outcome.ts";

const exited = (exitCode: number) => ({ exitCode, signal: null, signalNumber: null, cause: null, causeText: null });

test("scriptResult() ends every line alike, as Python's text mode does", () => {
  expect(scriptResult("J", exited(0), "one\r\ntwo\rthree\n\n", "", "now").documentBody).toBe(
    "\n---\n\none\ntwo\nthree\n",
  );
  expect(scriptResult("J", exited(3), "a\r\nb\r\n", "c\rd", "now").jobError).toBe(
    "Script exited with code 3\nstderr:\nc\nd\nstdout:\na\nb",
  );
});

test("readDocument() tells a success from a failure, and a text with another head from both", () => {
  const head = documentHead("J", "a1", "2026-06-15 10:00:01");
  const tell = (exitCode: number, stdout: string) =>
    readDocument(head + scriptResult("J", exited(exitCode), stdout, "", "now").documentBody, head);
  expect([tell(0, "said"), tell(0, ""), tell(0, '{"wakeAgent": false}'), tell(3, "said")]).toEqual([
    true,
    true,
    true,
    false,
  ]);
  const other = documentHead("J", "a1", "2026-06-15 10:00:02");
  for (const text of ["", head, `${other}\n---\n\nsaid\n`]) expect(readDocument(text, head)).toBe(null);
});
