import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createHome, type Home, removeHome } from "./home.ts";
import { hermesPython, releases } from "./releases.ts";
import { type StubModel, startStubModel, stubConfig } from "./stub-model.ts";
import { promptJob, startWorker, stopWorkers } from "./worker.ts";

const scripts = fileURLToPath(new URL("scripts", import.meta.url));
const homes: Home[] = [];
let stub: StubModel;

beforeAll(async () => {
  stub = await startStubModel();
});

afterEach(() => {
  stopWorkers();
  for (const home of homes.splice(0)) removeHome(home);
});

afterAll(async () => {
  await stub.close();
});

/** Does what it is to do in a container or on another host here and now, and writes down what it was asked for. */
const programs = {
  docker: `case $1 in
  version | info) echo one ;;
  run) echo c0ffee ;;
  exec) while [ "$1" != c0ffee ]; do shift; done; shift; exec "$@" ;;
esac`,
  ssh: `for word; do case $word in ControlPath=*) touch "\${word#*=}" ;; check) exit 1 ;; exit) exit 0 ;; esac; done
exec sh -c "$word"`,
};

const backends = {
  docker: "{backend: docker, docker_image: any, docker_persist_across_processes: false, cwd: /tmp}",
  ssh: "{backend: ssh, ssh_host: far, ssh_user: me, cwd: /tmp}",
};

/** A prompt job that runs a command elsewhere. Returns what that program was asked for. */
async function runElsewhere(python: string, program: keyof typeof programs): Promise<readonly string[]> {
  const home = createHome(python, scripts, "STUB_API_KEY=key\n");
  homes.push(home);
  writeFileSync(`${home.path}/config.yaml`, stubConfig(stub.url, `terminal: ${backends[program]}\n`));
  const [bin, log] = [`${home.folder}/bin`, `${home.folder}/log`];
  mkdirSync(bin);
  for (const name of [program, "scp"])
    writeFileSync(`${bin}/${name}`, `#!/bin/bash\necho "$*" | head -1 >>'${log}'\n${programs[program]}\n`, {
      mode: 0o755,
    });
  const end = await startWorker(home, promptJob("stub-tool"), "cold", { PATH: `${bin}:${process.env["PATH"]}` }).ended;
  expect({ code: end.code, success: end.answer?.success }).toEqual({ code: 0, success: true });
  return readFileSync(log, "utf8").split("\n");
}

for (const release of Object.values(releases))
  test(`${release.name}: a worker ends the containers that its agent worked in, unless they are to stay`, async () => {
    const asked = await runElsewhere(await hermesPython(release), "docker");
    const started = asked.filter((line) => /^run .*--name/u.test(line)).length;
    expect(started).toBeGreaterThan(0);
    expect(asked.filter((line) => line === "stop -t 10 c0ffee")).toHaveLength(started);
    expect(asked.filter((line) => line === "rm -f c0ffee")).toHaveLength(started);
  });

test("a worker ends the connections that its agent worked through, which it shares with no other run", async () => {
  const asked = await runElsewhere(await hermesPython(releases["0.22"]), "ssh");
  const sockets = new Set(asked.flatMap((line) => /ControlPath=(\S+)/u.exec(line)?.[1] ?? []));
  expect(sockets.size).toBeGreaterThan(0);
  for (const path of sockets) {
    // Hermes' own are in a folder for all, and to end one is to end it for all that use it.
    expect(path).toMatch(/^\/tmp\/hermes-ssh-\w+\/hermes-ssh\/\w+\.sock$/u);
    expect(asked).toContain(`-o ControlPath=${path} -O exit me@far`);
    expect(existsSync(path)).toBe(false);
  }
});
