import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Who sends requests without waiting for answers has no more than these before it. */
const pipelinedMax = 16;

/**
 * Resolves when the requests that came before on a connection are answered: HTTP wants that order, and a flood is no more work at
 * once than a request. Null where there are too many of them: the connection is closed.
 */
export function createPipelining(): (socket: Socket, response: ServerResponse) => Promise<void> | null {
  /** Of a connection, how many of its requests are not answered, and the end of the latest of these. */
  const queues = new WeakMap<Socket, { count: number; last: Promise<void> }>();

  return (socket, response) => {
    const queue = queues.get(socket) ?? { count: 0, last: Promise.resolve() };
    queues.set(socket, queue);
    queue.count += 1;
    if (queue.count > pipelinedMax) {
      socket.destroy();
      return null;
    }
    const before = queue.last;
    queue.last = new Promise((resolve) => {
      response.once("close", () => {
        queue.count -= 1;
        resolve();
      });
    });
    return before;
  };
}
