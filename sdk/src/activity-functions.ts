/**
 * The functions that users hand over as activities: one function, an object or record of functions, or a module.
 *
 * Promises that each is known by its key and by its own name, so that a default export answers to the name that its
 * callers know.
 */
import { OptionError } from "@memflow/engine";
import type { ActivityFunction } from "@memflow/engine";

/**
 * Activities by every name that they are known by.
 *
 * @param activities - A function, or an object whose members that are functions count.
 * @param field - The option that holds it, for the message.
 * @throws {OptionError} When it is neither, or a function alone has no name.
 */
export function activityFunctions(activities: unknown, field: string): ReadonlyMap<string, ActivityFunction> {
  if (typeof activities === "function") return new Map([named(activities, field)]);
  if (typeof activities !== "object" || activities === null) throw badActivities(activities, field);
  const functions = new Map<string, ActivityFunction>();
  const ownNames = new Map<string, ActivityFunction>();
  for (const [key, value] of Object.entries(activities)) {
    if (typeof value !== "function") continue;
    functions.set(key, value as ActivityFunction);
    if (value.name !== "" && value.name !== "default") ownNames.set(value.name, value as ActivityFunction);
  }
  // A key says more than a function's own name: it wins where both are there.
  return new Map([...ownNames, ...functions]);
}

function named(activity: unknown, field: string): [string, ActivityFunction] {
  const call = activity as ActivityFunction;
  if (call.name === "") throw badActivities(activity, field);
  return [call.name, call];
}

function badActivities(value: unknown, field: string): OptionError {
  return new OptionError({
    field,
    value,
    remedy: "give a function that has a name, or an object of functions such as { greet }",
  });
}
