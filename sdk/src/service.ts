/**
 * The door of services that start and stop runs for others: the options that users write, checked as the client checks them,
 * and the forms in which a run is shown.
 */
export { stateOf } from "./export.ts";
export { checkInterrupt } from "./interrupt-options.ts";
export type { CheckedInterrupt } from "./interrupt-options.ts";
export { checkName, checkStart } from "./options.ts";
export type { CheckedStart } from "./options.ts";
