/**
 * The JSON value: what an entity, a payload and a failure are made of.
 *
 * Promises that a value of this type survives `JSON.parse(JSON.stringify(value))` but for non-finite numbers and
 * negative zero, which TypeScript cannot tell apart from other numbers; the functions that take values in check those.
 */

/** Any value that JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/** A JSON object. A type with these members, not an interface: interfaces are not assignable to it. */
export type JsonObject = { readonly [key: string]: Json };
