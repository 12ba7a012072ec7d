import { admitBearer } from "../status/access.ts";
import type { ControlActions } from "../status/control-actions.ts";
import { type ControlServer, createControlServer } from "../status/control-server.ts";
import { listenOnPort } from "../system/socket.ts";
import type { System } from "../system/system.ts";
import { type ApiToken, createApiToken } from "./api-token.ts";

/** Where to listen, as the settings say it. */
export interface ApiSettings {
  /** `host:port`. */
  readonly listen: string;
  readonly tokenPath: string;
}

/** The control API on a port of this machine, where the settings ask for one. */
export interface ApiPort {
  /** Opens, moves or closes the port. One that could not be opened is tried again. */
  set(settings: ApiSettings | null): void;
  /** Why there is none although there should be, or null. */
  fault(): string | null;
  close(): void;
}

export function createApiPort(system: Pick<System, "files" | "random" | "log">, actions: ControlActions): ApiPort {
  const { log } = system;
  let wanted: ApiSettings | null = null;
  let token: ApiToken | null = null;
  let server: ControlServer | null = null;
  let fault: string | null = null;

  function say(next: string | null): void {
    if (next !== null && next !== fault) log.error("the port of the control API is not open", { error: next });
    fault = next;
  }

  function open({ listen, tokenPath }: ApiSettings): void {
    const own = createApiToken(system, tokenPath);
    token = own;
    const refused = own.fault();
    if (refused !== null) {
      say(refused);
      return;
    }
    const colon = listen.lastIndexOf(":");
    const [host, port] = [listen.slice(0, colon), Number(listen.slice(colon + 1))];
    const made = createControlServer(actions, admitBearer(host, port, own.value));
    server = made;
    listenOnPort(made.server, host.replace(/^\[|\]$/gu, ""), port).then(
      () => {
        made.server.on("error", (error) => log.warn("the port of the control API failed", { error: error.message }));
        say(null);
        log.info("the control API has a port", { listen, token_file: tokenPath });
      },
      (error: Error) => {
        if (server === made) server = null;
        say(`Cannot listen on ${listen} (api.listen): ${error.message}`);
      },
    );
  }

  function shut(): void {
    server?.close();
    server = null;
  }

  return {
    set(settings) {
      if (settings?.listen !== wanted?.listen || settings?.tokenPath !== wanted?.tokenPath) shut();
      wanted = settings;
      if (wanted === null) say(null);
      else if (server === null) open(wanted);
    },
    // A file that was good and is not any more shuts out those who ask: each is answered 503.
    fault: () => fault ?? (server === null ? null : (token?.fault() ?? null)),
    close: shut,
  };
}
