/** Which objects a list or a watch shows: namespace, labels (`a=b`, `a!=b`, `a`, `!a`), and the name as a field. */
import type { KubeObject } from "../../kube/wire.ts";
import { Refusal } from "./refusal.ts";

/** Whether an object belongs to a selection. */
export type ObjectFilter = (object: KubeObject) => boolean;

/** What narrows a list or watch, as in its path and query. */
export interface SelectionText {
  readonly namespace: string | undefined;
  readonly labelSelector: string | null;
  readonly fieldSelector: string | null;
}

/**
 * Reads a selection.
 *
 * @throws {Refusal} 400 for what the mock does not know.
 */
export function parseSelection({ namespace, labelSelector, fieldSelector }: SelectionText): ObjectFilter {
  const filters = [
    ...splitTerms(labelSelector).map(labelFilter),
    ...splitTerms(fieldSelector).map(fieldFilter),
  ];
  return (object) =>
    (namespace === undefined || object.metadata?.namespace === namespace) &&
    filters.every((isSelected) => isSelected(object));
}

function splitTerms(selector: string | null): string[] {
  return selector === null || selector === "" ? [] : selector.split(",");
}

function labelFilter(term: string): ObjectFilter {
  const [, name = "", operator, value] = /^(!?[\w./-]+)(==?|!=)?([\w.-]*)$/u.exec(term) ?? [];
  const labelOf = (object: KubeObject, label: string): string | undefined => object.metadata?.labels?.[label];
  if (name === "") throw new Refusal(400, "BadRequest", `label selector "${term}" is not known to the mock`);
  if (operator === "!=") return (object) => labelOf(object, name) !== value;
  if (operator !== undefined) return (object) => labelOf(object, name) === value;
  return name.startsWith("!")
    ? (object) => labelOf(object, name.slice(1)) === undefined
    : (object) => labelOf(object, name) !== undefined;
}

function fieldFilter(term: string): ObjectFilter {
  const [, field, value] = /^metadata\.(name|namespace)==?(.+)$/u.exec(term) ?? [];
  if (field !== "name" && field !== "namespace") {
    throw new Refusal(400, "BadRequest", `field selector "${term}" is not known to the mock`);
  }
  return (object) => object.metadata?.[field] === value;
}
