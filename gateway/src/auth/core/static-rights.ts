/** Rights without a cluster: rules as a role of Kubernetes has them, for one key each. Pure. */
import { z } from "zod";
import type { Access } from "../index.ts";

const ALL = "*";
const RULES_MAX = 64;
const ITEMS_MAX = 256;
const NAME_CHARACTERS_MAX = 253;

const words = z.array(z.string().min(1).max(NAME_CHARACTERS_MAX)).min(1).max(ITEMS_MAX);

/** What a rule lets one do: every verb on every resource of every name in every namespace that it lists. */
export const ruleSchema = z.strictObject({
  /** `create`, `get`, `signal`; `*` for all. */
  verbs: words,
  /** `workflows/runs`, `schedules`; `*` for all. */
  resources: words,
  /** Names of objects; left out: all, and lists of all. */
  names: words.optional(),
  /** Namespaces; left out: all. */
  namespaces: words.optional(),
});

/** @see ruleSchema */
export type Rule = z.output<typeof ruleSchema>;

export const rulesSchema = z.array(ruleSchema).min(1).max(RULES_MAX);

/** Whether a rule allows it. What is for all objects needs a rule that names none. */
export function isAllowed(rules: readonly Rule[], { verb, resource, namespace, name }: Access): boolean {
  return rules.some(
    (rule) =>
      covers(rule.verbs, verb) &&
      covers(rule.resources, resource) &&
      (rule.namespaces === undefined || covers(rule.namespaces, namespace)) &&
      (rule.names === undefined || (name !== undefined && name !== "" && rule.names.includes(name))),
  );
}

function covers(listed: readonly string[], value: string): boolean {
  return listed.includes(value) || listed.includes(ALL);
}
