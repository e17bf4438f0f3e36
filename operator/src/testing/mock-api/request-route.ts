/** Which object or collection a path of the Kubernetes API means. */
import type { ResourceType } from "../../kube/resource-type.ts";
import type { KubeObject } from "../../kube/wire.ts";
import type { Verb } from "./faults.ts";
import { Refusal } from "./refusal.ts";

/** A request, understood. */
export interface RequestRoute {
  readonly verb: Verb;
  readonly type: ResourceType<KubeObject>;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

const PATH =
  /^\/(?:api\/(?<core>v1)|apis\/(?<group>[^/]+\/[^/]+))(?:\/namespaces\/(?<namespace>[^/]+))?\/(?<plural>[^/]+)(?:\/(?<name>[^/]+)(?:\/(?<subresource>status|scale))?)?$/u;

/**
 * Finds the type, and what is wanted of it.
 *
 * @throws {Refusal} 404 for what the server does not serve, 405 for methods that it does not know there.
 */
export function routeRequest(
  method: string,
  url: URL,
  types: readonly ResourceType<KubeObject>[],
): RequestRoute {
  const parts = PATH.exec(url.pathname)?.groups ?? {};
  const apiVersion = parts["core"] ?? parts["group"];
  const type = types.find((known) => known.apiVersion === apiVersion && known.plural === parts["plural"]);
  if (!type) throw new Refusal(404, "NotFound", "the server could not find the requested resource");
  return {
    verb: verbOf(method, parts["name"] !== undefined, url.searchParams.get("watch") === "true"),
    type,
    namespace: decode(parts["namespace"]),
    name: decode(parts["name"]),
    subresource: parts["subresource"],
  };
}

function decode(part: string | undefined): string | undefined {
  return part === undefined ? undefined : decodeURIComponent(part);
}

function verbOf(method: string, isNamed: boolean, isWatch: boolean): Verb {
  switch (method) {
    case "GET":
      return isNamed ? "get" : isWatch ? "watch" : "list";
    case "POST":
      return "create";
    case "PUT":
      return "update";
    case "PATCH":
      return "patch";
    case "DELETE":
      return "delete";
    default:
      throw new Refusal(405, "MethodNotAllowed", `${method} is not allowed`);
  }
}
