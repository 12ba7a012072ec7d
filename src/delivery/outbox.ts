import type { Delivery, SeenDelivery } from "../core/delivery.ts";
import type { System } from "../system/system.ts";

/** Files for our plugin in a gateway, which sends them through the gateway's own connections. */
export interface Outbox {
  /** Makes the place for messages. Where it is missing later, somebody took it away, and what was in it. */
  prepare(): void;
  /** Puts the message there, whole or not at all. */
  put(delivery: Delivery): void;
  look(delivery: Delivery, gateway: boolean): SeenDelivery;
  /** Takes the message back; false when the plugin was faster. */
  withdraw(delivery: Delivery): boolean;
  /** Removes what is left of a delivery that is over. */
  clear(delivery: Delivery): void;
  /** Removes what a crash left of deliveries that nobody waits for; `isOpen` says whether somebody does. */
  sweep(isOpen: (runId: string) => boolean): void;
}

/** Longer than any error text of Hermes; what is longer is no answer. */
const answerBytesMax = 1 << 20;

/**
 * `<run>.json` is what is to be sent; the plugin renames it to `.sending` before it sends and answers with `.done`. A second
 * message of a run has a name of its own, so that no answer can be taken for another's.
 */
export function createOutbox(system: Pick<System, "files" | "random">, stateFolder: string): Outbox {
  const { files } = system;
  // The plugin knows this name, too.
  const folder = `${stateFolder}/outbox`;
  const stem = ({ runId, attempts }: Delivery): string => `${folder}/${runId}${attempts > 1 ? `.${attempts}` : ""}`;

  return {
    prepare: () => files.makeFolder(folder, 0o700, true),
    put(delivery) {
      const { record, content, forFailure, home } = delivery;
      // The record goes as its own text: a number in it may be larger than ours can be.
      const text = `{"job": ${record}, "content": ${JSON.stringify(content)}, "for_failure": ${forFailure}, "home": ${JSON.stringify(home)}}\n`;
      files.replace(`${stem(delivery)}.json`, `.${system.random.token(8)}.tmp`, text, 0o600);
    },
    look(delivery, gateway) {
      const path = stem(delivery);
      // In the order in which it moves, so that it cannot pass us by.
      if (files.stat(`${path}.json`) !== null) return { kind: "untaken" };
      const isTaken = files.stat(`${path}.sending`) !== null;
      const done = files.stat(`${path}.done`);
      if (done !== null) return readAnswer(files, `${path}.done`, done.sizeBytes);
      if (isTaken) return { kind: "taken", alive: gateway };
      return { kind: files.stat(folder) === null ? "gone" : "absent" };
    },
    withdraw(delivery) {
      const path = stem(delivery);
      try {
        files.rename(`${path}.json`, `${path}.withdrawn`);
      } catch (error) {
        if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
        throw error;
      }
      files.remove(`${path}.withdrawn`);
      return true;
    },
    clear(delivery) {
      for (const ending of ["json", "done", "sending"]) {
        const path = `${stem(delivery)}.${ending}`;
        if (files.stat(path) !== null) files.remove(path);
      }
    },
    sweep(isOpen) {
      for (const name of files.stat(folder) === null ? [] : files.list(folder)) {
        const [runId = "", ending] = [name.split(".")[0], name.split(".").at(-1)];
        if (ending === "tmp" || (["done", "withdrawn"].includes(ending ?? "") && !isOpen(runId)))
          files.remove(`${folder}/${name}`);
      }
    },
  };
}

function readAnswer(files: System["files"], path: string, sizeBytes: number): SeenDelivery {
  const unclear = "The gateway's answer cannot be read, so it is not known whether it was sent";
  try {
    const answer: unknown = sizeBytes > answerBytesMax ? null : JSON.parse(files.readText(path));
    if (typeof answer !== "object" || answer === null || !("error" in answer)) throw new SyntaxError(unclear);
    const error = answer.error === null ? null : String(answer.error);
    if ("unknown" in answer && answer.unknown === true) return { kind: "ended", event: "lose", error };
    return { kind: "ended", event: error === null ? "deliver" : "fail", error };
  } catch (error) {
    // A disk that cannot be read now may be readable later; what is no answer never becomes one.
    if (!(error instanceof SyntaxError)) throw error;
    return { kind: "ended", event: "lose", error: unclear };
  }
}
