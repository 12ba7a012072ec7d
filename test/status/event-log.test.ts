import { expect, test } from "vitest";
import type { Reply, Sink } from "../../src/status/control-actions.ts";
import { createEventLog, type EventLog } from "../../src/status/event-log.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";

interface Reader {
  readonly text: () => string;
  readonly sink: Sink;
  readonly stop: () => void;
  waiting: number;
  dropped: boolean;
}

function read(reply: Reply): Reader {
  if (!("open" in reply)) throw new Error(`No stream: ${JSON.stringify(reply)}`);
  let text = "";
  const reader = { waiting: 0, dropped: false };
  const sink: Sink = {
    write: (part) => {
      text += String(part);
      return true;
    },
    drained: () => undefined,
    waitingBytes: () => reader.waiting,
    end: () => undefined,
    drop: () => {
      reader.dropped = true;
      stop();
    },
  };
  const stop = reply.open(sink);
  return Object.assign(reader, { text: () => text, sink, stop });
}

const make = (): { readonly log: EventLog; readonly clock: ReturnType<typeof createFakeClock> } => {
  const clock = createFakeClock(0);
  return { clock, log: createEventLog(clock, "abc") };
};

test("follow() passes on what happens from now on, each with its id", () => {
  const { log } = make();
  log.add("run", { id: 1 });
  const reader = read(log.follow(null));
  log.add("slot", { id: 2 });
  reader.stop();
  log.add("alert", { id: 3 });
  expect(reader.text()).toBe('retry: 2000\nid: abc-1\n\nid: abc-2\nevent: slot\ndata: {"id":2}\n\n');
});

test("follow() resumes behind the last event seen, and says nothing of a gap when there is none", () => {
  const { log } = make();
  for (const id of [1, 2, 3]) log.add("run", { id });
  expect(read(log.follow("abc-1")).text()).toBe(
    'retry: 2000\n\nid: abc-2\nevent: run\ndata: {"id":2}\n\nid: abc-3\nevent: run\ndata: {"id":3}\n\n',
  );
  expect(
    read(log.follow("abc-0"))
      .text()
      .match(/event: run/g),
  ).toHaveLength(3);
  expect(read(log.follow("abc-3")).text()).toBe("retry: 2000\nid: abc-3\n\n");
});

test("follow() says what is lost when too much has happened since, or another daemon has", () => {
  const { log } = make();
  for (let id = 1; id <= 2005; id += 1) log.add("run", { id });
  const late = read(log.follow("abc-2")).text();
  expect(late).toContain(
    'id: abc-5\nevent: gap\ndata: {"message":"3 events are too old to be kept, here is what is left"}\n\nid: abc-6\n',
  );
  expect(late.match(/event: run/g)).toHaveLength(2000);
  expect(read(log.follow("other-7")).text()).toContain("The daemon has been started again since");
  expect(read(log.follow("abc-9000")).text()).toContain("There is no such event yet");
});

test("follow() refuses an id that is none of ours", () => {
  const { log } = make();
  for (const id of ["x", "abc-", "abc-1\n", "-1", "ABC-1", "abc-1e9"]) {
    expect(log.follow(id)).toMatchObject({ status: 400 });
  }
});

test("an event log keeps no more than a few megabytes, whatever the events are", () => {
  const { log } = make();
  for (let id = 1; id <= 100; id += 1) log.add("run", { id, name: "x".repeat(100_000) });
  expect(read(log.follow("abc-0")).text().length).toBeLessThan(5 << 20);
});

test("a reader that is too far behind is let go, and the others get the event", () => {
  const { log } = make();
  const [slow, quick] = [read(log.follow(null)), read(log.follow(null))];
  slow.waiting = 2 << 20;
  log.add("run", 1);
  expect([slow.dropped, quick.dropped, quick.text().includes("abc-1\nevent: run")]).toEqual([true, false, true]);
});

test("a sign of life goes out while somebody listens, and no timer is left when nobody does", () => {
  const { log, clock } = make();
  const reader = read(log.follow(null));
  expect(clock.fireNext()).toBe(true);
  expect(reader.text().endsWith("\n\n:\n\n")).toBe(true);
  reader.stop();
  expect(clock.fireNext()).toBe(false);
});
