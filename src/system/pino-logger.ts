import { destination, pino } from "pino";
import { escapeControls } from "../core/escape-controls.ts";
import type { Logger } from "./logger.ts";

/** JSON lines on standard error, written at once: a line that is still in a buffer is lost with a killed process. */
export function createLogger(level: string): Logger {
  const output = destination({ fd: 2, sync: true });
  // A log on a full disk, or a reader that has gone, must not end what is logged.
  output.on("error", () => undefined);
  const log = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      // Names and errors come from whoever writes a job, and a log is read on a terminal.
      hooks: { streamWrite: escapeControls },
      formatters: { level: (label) => ({ level: label }) },
    },
    output,
  );
  return {
    debug: (message, fields = {}) => log.debug(fields, message),
    info: (message, fields = {}) => log.info(fields, message),
    warn: (message, fields = {}) => log.warn(fields, message),
    error: (message, fields = {}) => log.error(fields, message),
  };
}
