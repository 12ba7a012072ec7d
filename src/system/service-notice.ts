import { closeSync, writeSync } from "node:fs";
import { createRequire } from "node:module";

/**
 * Tells whoever started this program as a service how far it is: systemd through `NOTIFY_SOCKET`, s6 through a descriptor.
 * Without either every call does nothing.
 */
export interface ServiceNotice {
  /** It serves; `status` is a line for `systemctl status`. */
  ready(status: string): void;
  /** It reads its settings again; `ready` ends that. */
  reloading(): void;
  stopping(): void;
  /** It lives. Called at least every `pulseMs`. `isStopping` asks for more time to end than the service was given. */
  pulse(isStopping: boolean): void;
  /** How often `pulse` is expected; null where nobody listens. */
  readonly pulseMs: number | null;
}

/** With no watchdog, a drain still has to say now and then that it goes on. */
const pulseMsMax = 10_000;
/** How much longer a drain may take after its latest pulse, in microseconds. */
const moreTimeUs = 60_000_000;

export function createServiceNotice(
  variables: Readonly<Record<string, string | undefined>>,
  ownPid: number,
): ServiceNotice {
  const tell = openNotifySocket(variables["NOTIFY_SOCKET"] ?? "");
  let readyDescriptor = descriptorOf(variables["HERMES_SUPERVISOR_READY_FD"]);
  const watchdogUs = watchdogOf(variables, ownPid);
  return {
    ready(status) {
      tell?.(`READY=1\nSTATUS=${status.replaceAll("\n", " ")}`);
      if (readyDescriptor === null) return;
      const descriptor = readyDescriptor;
      readyDescriptor = null;
      try {
        writeSync(descriptor, "\n");
        closeSync(descriptor);
      } catch {
        // Whoever named it has closed it, and does not listen.
      }
    },
    reloading: () => tell?.(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping: () => tell?.("STOPPING=1\nSTATUS=Ending"),
    pulse(isStopping) {
      const lines = [
        ...(watchdogUs === null ? [] : ["WATCHDOG=1"]),
        ...(isStopping ? [`EXTEND_TIMEOUT_USEC=${moreTimeUs}`] : []),
      ];
      if (lines.length > 0) tell?.(lines.join("\n"));
    },
    pulseMs: tell === null ? null : Math.min(pulseMsMax, watchdogUs === null ? pulseMsMax : watchdogUs / 2000),
  };
}

function descriptorOf(text: string | undefined): number | null {
  return /^[3-9]$|^[1-9]\d{1,3}$/u.test(text ?? "") ? Number(text) : null;
}

/** A watchdog that was set for another process, whose environment we inherited, is none of ours. */
function watchdogOf(variables: Readonly<Record<string, string | undefined>>, ownPid: number): number | null {
  const { WATCHDOG_USEC: text = "", WATCHDOG_PID: pid } = variables;
  if (!/^[1-9]\d{0,15}$/u.test(text) || (pid !== undefined && pid !== String(ownPid))) return null;
  return Number(text);
}

const unixFamily = 1;
const datagram = 2;
const closeOnExec = 0o2000000;
const noSignal = 0x4000;
/** `sun_path` of a Linux address. */
const pathBytesMax = 108;

/** Node knows no datagrams on unix sockets. Null where there is no socket that we could write to. */
function openNotifySocket(name: string): ((text: string) => void) | null {
  if (process.platform !== "linux" || !/^[/@]./u.test(name)) return null;
  // A name in the abstract namespace begins with a zero byte and does not end in one.
  const path = Buffer.from(name.startsWith("@") ? `\0${name.slice(1)}` : `${name}\0`);
  if (path.length > pathBytesMax) return null;
  const address = Buffer.concat([Buffer.from(Uint16Array.of(unixFamily).buffer), path]);
  const koffi: typeof import("koffi") = createRequire(import.meta.url)("koffi");
  const library = koffi.load(null);
  const socket = library.func("int socket(int family, int type, int protocol)");
  const sendto = library.func(
    "long sendto(int descriptor, const uint8_t *bytes, size_t length, int flags, const uint8_t *address, uint32_t size)",
  );
  return (text) => {
    const descriptor = Number(socket(unixFamily, datagram | closeOnExec, 0));
    if (descriptor < 0) return;
    try {
      const bytes = Buffer.from(text);
      // A service manager that has gone cannot be told, and its successor asks again by itself.
      sendto(descriptor, bytes, bytes.length, noSignal, address, address.length);
    } finally {
      closeSync(descriptor);
    }
  };
}
