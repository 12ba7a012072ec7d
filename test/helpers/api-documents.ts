import { z } from "zod";
import { type Parameter, type Route, routes } from "../../src/status/routes.ts";
import { eventShapes, models, type ShapeName, shapes } from "../../src/status/shapes.ts";

/** The description of the control API, made from its routes and shapes: path in the repository, and content. */
export function apiDocuments(): ReadonlyMap<string, string> {
  return new Map([["docs/openapi.json", `${JSON.stringify(openApi(), null, 2)}\n`]]);
}

function openApi(): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    paths[route.path] ??= {};
    Object.assign(paths[route.path] ?? {}, { [route.method.toLowerCase()]: operation(route) });
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "hermes-supervisor",
      version: "1",
      description:
        "The control API of a daemon: on the socket control.sock in its state folder, and where api.listen asks for it on a port of the same machine, with a bearer token.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "http://127.0.0.1:8377", description: "api.listen" }],
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer", description: "On a port only" } },
      schemas: schemas(),
    },
  };
}

function operation(route: Route): object {
  const parts = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  const asked = (route.query ?? []).map((one) => ({
    name: one.name,
    in: "query",
    description: one.about,
    schema: typeOf(one),
  }));
  const headers =
    route.path === "/v1/events"
      ? [
          {
            name: "Last-Event-ID",
            in: "header",
            description: "The id of the last event seen",
            schema: { type: "string" },
          },
        ]
      : [];
  return {
    summary: route.about,
    operationId: `${route.method.toLowerCase()}${route.path.replace(/[^A-Za-z]+([A-Za-z]?)/g, (_, letter: string) => letter.toUpperCase())}`,
    parameters: [...parts, ...asked, ...headers],
    ...(route.body === undefined
      ? {}
      : {
          requestBody: {
            required: false,
            content: {
              "application/json": {
                schema: {
                  type: "object",
                  properties: Object.fromEntries(
                    route.body.map((one) => [one.name, { ...typeOf(one), description: one.about }]),
                  ),
                },
              },
            },
          },
        }),
    responses: {
      ...Object.fromEntries(
        Object.entries({ ...route.answers, 401: "Problem", 403: "Problem" } as const).map(([status, answer]) => [
          status,
          response(Number(status), answer),
        ]),
      ),
      // What any request can be refused for, whatever it asks: its address, its size, its time.
      default: response(500, "Problem"),
    },
  };
}

function response(status: number, answer: Route["answers"][number]): object {
  const description = descriptions[status] ?? "An error";
  if (answer === "text/plain" || answer === "text/event-stream") {
    return { description, content: { [answer]: { schema: { type: "string" } } } };
  }
  if (answer === "application/json") return { description, content: { [answer]: { schema: { type: "object" } } } };
  const type = status >= 400 ? "application/problem+json" : "application/json";
  return {
    description,
    content: { [mediaType(answer, type)]: { schema: { $ref: `#/components/schemas/${answer}` } } },
  };
}

/** Health is red by its status, and yet no problem with the request. */
function mediaType(answer: ShapeName, usual: string): string {
  return answer === "Health" ? "application/json" : usual;
}

const descriptions: Readonly<Record<number, string>> = {
  200: "The answer",
  201: "It runs",
  202: "It is on its way",
  400: "The request cannot be understood",
  401: "On a port: the token is missing or wrong",
  403: "On a port: the Host or Origin is another one",
  404: "There is no such thing",
  409: "It cannot be done now",
  503: "Not at this moment",
};

function typeOf({ type }: Parameter): object {
  return type === "date-time" ? { type: "string", format: type } : { type };
}

function schemas(): object {
  const registry = z.registry<{ id: string }>();
  const events = z.object(eventShapes).describe("The data of an event, by its name");
  for (const [id, shape] of Object.entries({ ...models, ...shapes, Event: events })) registry.add(shape, { id });
  const made = z.toJSONSchema(registry, { io: "output", uri: (id) => `#/components/schemas/${id}` });
  return Object.fromEntries(
    Object.entries(made.schemas).map(([name, { $schema: _schema, $id: _id, ...schema }]) => [name, schema]),
  );
}
