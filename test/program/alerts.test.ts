import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isAlive, makeSupervisedHome, type SupervisedHome, scriptJob, until } from "../helpers/supervised-home.ts";

interface Told {
  readonly event: string;
  readonly alert: { readonly kind: string; readonly job_id: string };
}

const everySecond = "* * * * * *";
const jobId = "aaaaaaaaaaaa";

/** A home whose job fails until there is a file `good`, and whose alerts a command writes into a file. */
function failingHome(onFinished: (clean: () => Promise<void>) => void, notify: string): SupervisedHome {
  const home = makeSupervisedHome(onFinished);
  home.script("fails.sh", `test -e ${join(home.path, "good")}\n`);
  home.writeJobs([scriptJob(jobId, everySecond, "fails.sh", { next_run_at: null })]);
  home.hostConfig(`alerts:\n  notify:\n${notify}`);
  return home;
}

const toldIn = (path: string): readonly Told[] =>
  existsSync(path)
    ? readFileSync(path, "utf8")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as Told)
    : [];

const kindsOf = (told: readonly Told[]): readonly string[] => told.map(({ event, alert }) => `${event} ${alert.kind}`);

test.concurrent("a command is told once of a job that goes on failing, also across restarts, and once that it is over", async ({
  onTestFinished,
}) => {
  const home = makeSupervisedHome(onTestFinished);
  const told = join(home.state, "told");
  home.script("fails.sh", `test -e ${join(home.path, "good")}\n`);
  home.writeJobs([scriptJob(jobId, everySecond, "fails.sh", { next_run_at: null })]);
  home.hostConfig(
    `alerts:\n  notify:\n    - command: cat >> ${told}; test "$HERMES_SUPERVISOR_ALERT_KIND" = run_failed\n`,
  );
  const failed = (): number => home.runs().filter(({ state }) => state === "failed").length;
  const first = home.start();
  await until(() => toldIn(told).length > 0);
  first.kill("SIGTERM");
  await first.exited;
  let before = failed();
  const second = home.start();
  await until(() => failed() >= before + 2);
  second.kill("SIGKILL");
  await second.exited;
  before = failed();
  await home.start().said("ready");
  await until(() => failed() >= before + 2);
  const { json } = home.ask("status") as unknown as { json: { alerts: { kind: string }[] } };
  expect(json.alerts.map(({ kind }) => kind)).toEqual(["run_failed"]);
  writeFileSync(join(home.path, "good"), "");
  await until(() => toldIn(told).length > 1);
  expect(kindsOf(toldIn(told))).toEqual(["raised run_failed", "cleared run_failed"]);
  expect(toldIn(told)[0]).toMatchObject({ alert: { home: "default", job_id: jobId } });
});

test.concurrent("a webhook gets each notice, again where it was refused, and the log never says its address", async ({
  onTestFinished,
}) => {
  const bodies: Told[] = [];
  const asked = new Set<string>();
  let refusals = 1;
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (part) => {
      text += part;
    });
    asked.add(request.url ?? "");
    request.on("end", () => {
      if (request.url === "/moved") {
        response.writeHead(302, { location: "/elsewhere" }).end();
        return;
      }
      if (refusals > 0) response.statusCode = 500;
      else bodies.push(JSON.parse(text));
      refusals -= 1;
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const address = `http://127.0.0.1:${port}`;
  const home = failingHome(
    onTestFinished,
    `    - webhook: ${address}/hook?key=hunter2\n    - webhook: ${address}/moved\n`,
  );
  const daemon = home.start();
  await until(() => bodies.length > 0);
  expect(bodies.map(({ event }) => event)).toEqual(["raised"]);
  expect(daemon.log()).toContain("the server answered 500");
  await daemon.said("the server answered 302, a redirect: name the address that it leads to");
  expect([...asked].sort()).toEqual(["/hook?key=hunter2", "/moved"]);
  expect(daemon.log()).not.toContain("hunter2");
  expect(JSON.stringify(home.ask("config", "show").json)).not.toContain("hunter2");
});

test.concurrent("commands that hang, print without end or are not there hold up no run and none of each other", async ({
  onTestFinished,
}) => {
  const home = failingHome(onTestFinished, "");
  const told = join(home.state, "told");
  const pid = join(home.state, "pid");
  home.hostConfig(`alerts:
  notify:
    - command: echo $$ > ${pid}; sleep 1000 & sleep 1000
      timeout: 1 s
    - command: [yes]
    - command: [/nowhere/at-all]
    - command: cat >> ${told}
`);
  const daemon = home.start();
  await until(() => toldIn(told).length > 0);
  await daemon.said("it did not end in time and was killed");
  await daemon.said("it printed more than 256 KiB and was killed");
  await daemon.said("/nowhere/at-all");
  const hung = Number(readFileSync(pid, "utf8"));
  await until(() => !isAlive(hung));
  const began = Date.now();
  await until(() => home.slots().filter(({ scheduled_at: at }) => Date.parse(at) > began).length >= 2);
  const later = home.slots().filter(({ scheduled_at: at }) => Date.parse(at) > began);
  expect(new Set(later.map(({ decision, reason }) => `${decision} ${reason}`))).toEqual(new Set(["run on_time"]));
});
