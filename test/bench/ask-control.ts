import { type RequestOptions, request } from "node:http";

/** What a control socket answers, from within this process: a command of its own for each question would take half a core. */
export function askControl(options: RequestOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => {
        const { statusCode = 0 } = response;
        // Health is red by its status, and yet the request was answered.
        if (statusCode < 400 || statusCode === 503) resolve(text);
        else reject(new Error(`Cannot measure: ${options.path} answered ${statusCode}: ${text}`));
      });
    });
    sent.on("error", reject);
    sent.end();
  });
}
