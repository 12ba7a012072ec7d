import { expect, test } from "vitest";
import { scriptResult } from "../../src/core/script-outcome.ts";

const exited = (exitCode: number) => ({ exitCode, signal: null, signalNumber: null, cause: null, causeText: null });

test("scriptResult() ends every line alike, as Python's text mode does", () => {
  expect(scriptResult("J", exited(0), "one\r\ntwo\rthree\n\n", "", "now").documentBody).toBe(
    "\n---\n\none\ntwo\nthree\n",
  );
  expect(scriptResult("J", exited(3), "a\r\nb\r\n", "c\rd", "now").jobError).toBe(
    "Script exited with code 3\nstderr:\nc\nd\nstdout:\na\nb",
  );
});
