/** Failures as plain objects. */
import { expect, test } from "vitest";
import { toErrorObject } from "./error-object.ts";
import { encodeFailure } from "./failure.ts";

test("an error keeps its name, message, fields, cause and inner errors as an object, and has a code", () => {
  const inner = Object.assign(new RangeError("inner"), { limit: 3 });
  const error = Object.assign(new AggregateError([inner, "text"], "outer", { cause: new TypeError("why") }), {
    order: { id: 7 },
  });
  expect(toErrorObject(encodeFailure(error), 598)).toEqual({
    name: "AggregateError",
    message: "outer",
    code: 598,
    order: { id: 7 },
    stack: expect.any(String) as string,
    cause: { name: "TypeError", message: "why", code: 598, stack: expect.any(String) as string },
    errors: [
      { name: "RangeError", message: "inner", code: 598, limit: 3, stack: expect.any(String) as string },
      "text",
    ],
  });
});

test("a code of its own stays, and a field can't take the place of the message", () => {
  const failure = { name: "E", message: "said", code: "MINE", data: { message: "other", name: "other" } };
  expect(toErrorObject(failure, 598)).toEqual({ name: "E", message: "said", code: "MINE" });
});

test("a cause that was no error stays what it was, null when it could not be kept", () => {
  const kept = encodeFailure(new Error("outer", { cause: { why: 1 } }));
  expect(toErrorObject(kept, 598).cause).toEqual({ why: 1 });
  const lost = encodeFailure(new Error("outer", { cause: Symbol("why") }));
  expect(toErrorObject(lost, 598).cause).toBeNull();
});
