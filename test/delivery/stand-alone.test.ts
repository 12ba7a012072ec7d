import { expect, test } from "vitest";
import type { Delivery } from "../../src/core/delivery.ts";
import { createStandAlone, type WorkerAnswer } from "../../src/delivery/stand-alone.ts";

const delivery: Delivery = {
  runId: "r1",
  home: "default",
  jobId: "aaaaaaaaaaaa",
  target: "discord:1",
  record: '{"id": "aaaaaaaaaaaa", "origin": {"chat_id": 1234567890123456789}, "rate": 2.0}',
  content: "Done",
  isBare: false,
  forFailure: true,
  incident: "aaaaaa_01",
  state: "sending",
  way: "stand_alone",
  attempts: 1,
  queuedAtMs: 0,
  handedAtMs: 0,
  retryAtMs: null,
  error: null,
  recorded: false,
};

/** What is asked stands in `asked` as it would be written; `answer` ends the question. */
function play() {
  const asked: string[] = [];
  let wakes = 0;
  let answer: (answer: WorkerAnswer) => void = () => undefined;
  const standAlone = createStandAlone(
    (_, question) => {
      asked.push(JSON.stringify(question));
      return new Promise((resolve) => {
        answer = resolve;
      });
    },
    () => {
      wakes += 1;
    },
  );
  const end = async (told: WorkerAnswer): Promise<void> => {
    const before = wakes;
    answer(told);
    while (wakes === before) await Promise.resolve();
  };
  return { standAlone, asked, end };
}

test("put() asks Hermes to send, with every digit of the record's numbers", async () => {
  const { standAlone, asked, end } = play();
  standAlone.put(delivery);
  expect(asked).toEqual([
    '{"ask":"deliver","job":{"id":"aaaaaaaaaaaa","origin":{"chat_id":1234567890123456789},"rate":2.0},"content":"Done","for_failure":true,"incident":"aaaaaa_01"}',
  ]);
  expect([standAlone.running(), standAlone.look(delivery)]).toEqual([1, { kind: "taken", alive: true }]);
  await end({ ok: true, answer: { error: null } });
  expect([standAlone.running(), standAlone.look(delivery)]).toEqual([
    0,
    { kind: "ended", event: "deliver", error: null },
  ]);
  standAlone.clear(delivery);
  expect(standAlone.look(delivery)).toEqual({ kind: "taken", alive: false });
});

test("look() takes for unsent only what was never asked, and for sent only what Hermes says so of", async () => {
  for (const [told, seen] of [
    [
      { ok: true, answer: { error: "unknown platform 'foo'" } },
      { kind: "ended", event: "fail", error: "unknown platform 'foo'" },
    ],
    [
      { ok: true, answer: {} },
      { kind: "ended", event: "lose", error: "Hermes did not say whether it was sent" },
    ],
    [
      { ok: false, error: "It was killed" },
      { kind: "ended", event: "lose", error: "It was killed" },
    ],
    [
      { ok: false, error: "Python is gone", isUnasked: true },
      { kind: "unsent", error: "Python is gone" },
    ],
  ] as const) {
    const { standAlone, end } = play();
    standAlone.put(delivery);
    await end(told);
    expect(standAlone.look(delivery)).toEqual(seen);
  }
});

test("a record that is no JSON is never given to Hermes", () => {
  const { standAlone, asked } = play();
  const broken = { ...delivery, record: '{"rate": NaN}' };
  standAlone.put(broken);
  expect([asked, standAlone.look(broken), standAlone.compose(broken)]).toEqual([
    [],
    { kind: "ended", event: "fail", error: "The job's record is no JSON, so Hermes cannot be given it" },
    "failed",
  ]);
});

test("compose() asks Hermes once for its words, and answers them once", async () => {
  const { standAlone, asked, end } = play();
  const bare = { ...delivery, content: "Script exited with code 3", isBare: true };
  expect([standAlone.compose(bare), standAlone.compose(bare), asked.length]).toEqual([null, null, 1]);
  expect(asked[0]).toContain('"ask":"failure"');
  await end({ ok: true, answer: { deliver: "It failed", incident: "aaaaaa_02" } });
  expect(standAlone.compose(bare)).toEqual({ text: "It failed", incident: "aaaaaa_02" });
  for (const [told, notice] of [
    [
      { ok: true, answer: { deliver: null, incident: null } },
      { text: null, incident: null },
    ],
    [{ ok: true, answer: {} }, "failed"],
    [{ ok: false, error: "It was killed" }, "failed"],
  ] as const) {
    expect(standAlone.compose(bare)).toBe(null);
    await end(told);
    expect(standAlone.compose(bare)).toEqual(notice);
  }
});
