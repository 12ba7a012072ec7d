/**
 * Sends one notice of an alert: `post-webhook.mjs REQUEST` posts what the file REQUEST says and ends with 0 if the other side took it.
 * A program of its own, so that a name that is not found or a server that does not answer holds up nobody.
 */
import { readFileSync } from "node:fs";

const {
  url,
  token_file: tokenFile,
  timeout_ms: timeoutMs,
  body,
} = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8"));

try {
  const authorization = tokenFile === null ? {} : { authorization: `Bearer ${readFileSync(tokenFile, "utf8").trim()}` };
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", "user-agent": "hermes-supervisor", ...authorization },
    body,
    redirect: "manual",
    signal: AbortSignal.timeout(timeoutMs),
  });
  // What it says is of no use, and may have no end.
  await response.body?.cancel();
  const isRedirect = response.status >= 300 && response.status < 400;
  // What is said of alerts, and the token, go nowhere but where somebody sent them.
  const hint = isRedirect ? ", a redirect: name the address that it leads to" : "";
  if (!response.ok) fail(`the server answered ${response.status}${hint}`);
} catch (error) {
  // Its message can quote the address, which may hold a password.
  const { name, cause } = error instanceof Error ? error : { name: "error", cause: null };
  fail(name === "TimeoutError" ? `no answer within ${timeoutMs} ms` : (cause?.code ?? error?.code ?? name));
}

/** @param {string} why */
function fail(why) {
  console.error(`the webhook was not reached: ${why}`);
  process.exitCode = 1;
}
