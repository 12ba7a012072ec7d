import { expect, test } from "vitest";
import { createChildTable } from "../../src/child/child-table.ts";
import { createRunStopper } from "../../src/child/stop-run.ts";
import { createFakeMachine } from "../helpers/fake-machine.ts";

const asked = { reason: "stopped", text: "Stopped because a person asked for it" } as const;

function makeStopper() {
  const machine = createFakeMachine();
  const children = createChildTable();
  return { machine, children, stopper: createRunStopper(machine.system, children, "/state") };
}

test("what nothing proves to be of a run is left to one that goes on, and ended with the last", async () => {
  const { machine, children, stopper } = makeStopper();
  const [first, last] = [machine.child("first", 10, 100), machine.child("last", 20, 200)];
  for (const child of [first, last]) children.add(child);
  machine.start(30, 300, {});
  void stopper.stop(first, asked, 0);
  await machine.run(1000);
  expect([...machine.alive.keys()]).toEqual([20, 30]);
  first.overAtMs = machine.clock.nowMs();
  // Its end cannot be recorded yet, so it is still in the table when the other one's turn comes.
  void stopper.stop(last, asked, 0);
  await machine.run(1000);
  expect([...machine.alive.keys()]).toEqual([]);
});

test("a chain of processes that is quicker than a look is not taken for nobody", async () => {
  const { machine, children, stopper } = makeStopper();
  const child = machine.child("run", 10, 100);
  children.add(child);
  let link = machine.start(31, 300, { runId: "run", groupId: 30, sessionId: 30 });
  let links = 1;
  // Each time all have been listed the link is gone, and its successor was not there yet; nine times in a row.
  machine.onListed = () => {
    if (!machine.alive.delete(link.pid) || links === 9) return;
    link = machine.start(link.pid + 1, 300 + links++, { runId: "run", groupId: 30, sessionId: 30 });
  };
  const ended = stopper.stop(child, asked, 0);
  await machine.run(1000);
  await ended;
  expect([links, machine.alive.size]).toEqual([9, 0]);
});
