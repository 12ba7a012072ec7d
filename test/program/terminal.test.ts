import { spawn } from "node:child_process";
import { expect, test } from "vitest";
import { makeSupervisedHome } from "../helpers/supervised-home.ts";

/** Runs a program on a terminal of its own, sends it a signal once it has painted, and tells how it ended and what it wrote last. */
const onTerminal = `
import json, os, pty, signal, sys
number = getattr(signal, sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
seen, isSent = b"", False
while True:
    try:
        part = os.read(terminal, 65536)
    except OSError:
        break
    if not part:
        break
    seen += part
    if not isSent and b"Ctrl-C ends it" in seen:
        isSent = True
        os.kill(pid, number)
status = os.waitpid(pid, 0)[1]
signalled = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
print(json.dumps([signalled == number, seen[-19:].decode()]))
`;

for (const signal of ["SIGTERM", "SIGHUP"]) {
  test(`status --watch that ${signal} ends gives the terminal back`, async () => {
    const home = makeSupervisedHome();
    home.writeJobs([]);
    const program = spawn("python3", ["-c", onTerminal, signal, ...home.command("status", "--watch")], {
      env: { PATH: process.env["PATH"], HOME: home.path, TERM: "xterm" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let printed = "";
    program.stdout.setEncoding("utf8").on("data", (part: string) => {
      printed += part;
    });
    await new Promise((resolve) => program.once("close", resolve));
    expect(JSON.parse(printed)).toEqual([true, "\x1b[?7h\x1b[?25h\x1b[?1049l"]);
  });
}
