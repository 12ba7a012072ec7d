import { expect, test } from "vitest";
import { createChildTable } from "../../src/child/child-table.ts";
import { createRunStopper } from "../../src/child/stop-run.ts";
import { createFakeMachine, type FakeMachine } from "../helpers/fake-machine.ts";

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

test("a chain of processes that is always gone before all have been listed is ended", async () => {
  const { machine, children, stopper } = makeStopper();
  const child = machine.child("run", 10, 100);
  children.add(child);
  let link = machine.start(31, 300, { runId: "run", groupId: 30, sessionId: 30 });
  machine.onListed = () => {
    if (machine.alive.delete(link.pid))
      link = machine.start(link.pid + 1, link.startTicks + 1, { runId: "run", groupId: 30, sessionId: 30 });
  };
  const ended = stopper.stop(child, asked, 0);
  await machine.run(1000);
  await ended;
  expect([...machine.alive.keys()]).toEqual([]);
});

test.each<[string, (machine: FakeMachine) => Set<string>]>([
  ["lifeline is held", (machine) => machine.heldLifelines],
  ["control group has members", (machine) => machine.groupsInUse],
])("a run whose %s has not ended, though nobody is found of it", async (_, usedOf) => {
  const { machine, children, stopper } = makeStopper();
  const child = machine.child("run", 10, 100);
  children.add(child);
  // Without one the reaper knows that nobody is left.
  machine.start(30, 300, { runId: "another" });
  const used = usedOf(machine).add("run");
  let isEnded = false;
  void stopper.stop(child, asked, 0).then(() => {
    isEnded = true;
  });
  await machine.run(5000);
  expect([isEnded, [...machine.alive.keys()]]).toEqual([false, [30]]);
  used.clear();
  await machine.run(1500);
  expect(isEnded).toBe(true);
});

test("what is stopped when it was over has not ended because of that", async () => {
  const { machine, children, stopper } = makeStopper();
  const [over, open] = [machine.child("over", 10, 100), machine.child("open", 20, 200)];
  for (const child of [over, open]) children.add(child);
  over.overAtMs = machine.clock.nowMs();
  for (const child of [over, open]) void stopper.stop(child, asked, 0);
  await machine.run(1000);
  expect([over.cause, open.cause]).toEqual([null, asked]);
});

test("what may be of a run that uses its grace is left to it when another run is ended", async () => {
  const { machine, children, stopper } = makeStopper();
  const [leaving, other] = [machine.child("leaving", 10, 100), machine.child("other", 20, 200)];
  const over = { ...leaving, ended: Promise.resolve({ exitCode: null, signal: "SIGTERM" }) };
  for (const child of [over, other]) children.add(child);
  machine.start(11, 110, { runId: "leaving", groupId: 10, sessionId: 10 });
  machine.start(30, 300, {});
  machine.alive.delete(10);
  void stopper.stop(over, asked, 5000);
  await machine.run(100);
  over.overAtMs = machine.clock.nowMs();
  void stopper.stop(other, asked, 0);
  await machine.run(2000);
  expect([...machine.alive.keys()]).toEqual([11, 30]);
  other.overAtMs = machine.clock.nowMs();
  await machine.run(4000);
  expect([...machine.alive.keys()]).toEqual([]);
});
