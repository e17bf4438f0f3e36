/** Failures: errors survive the way through JSON, and nothing that can be thrown breaks it. */
import fc from "fast-check";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import * as errors from "./errors.ts";
import { FAILURE_BYTES_MAX, decodeFailure, encodeFailure } from "./failure.ts";
import type { FailureJson } from "./failure.ts";

const roundTrip = (error: unknown): Error =>
  decodeFailure(JSON.parse(JSON.stringify(encodeFailure(error))) as FailureJson);

const refuse = (): never => {
  throw new Error("not readable");
};
const hostileHandler: ProxyHandler<object> = {
  get: refuse,
  has: refuse,
  ownKeys: refuse,
  getPrototypeOf: refuse,
  getOwnPropertyDescriptor: refuse,
};

test("name, message, code, stack and fields come back", () => {
  const error = Object.assign(new Error("read failed"), {
    code: "ENOENT",
    errno: -2,
    path: "/a",
    detail: { tries: [1, 2] },
  });
  const decoded = roundTrip(error);
  expect(decoded).toMatchObject({
    name: "Error",
    message: "read failed",
    code: "ENOENT",
    errno: -2,
    path: "/a",
    detail: { tries: [1, 2] },
  });
  expect(decoded.stack).toBe(error.stack);
  expect(Object.keys(decoded)).toEqual(["code", "errno", "path", "detail"]);
});

const run = { workflowId: "w", runId: "r" };
const words = { path: "a", problem: "p", remedy: "r" };

test.each([
  new errors.MemFlowError("m", { code: "SOME_CODE" }),
  new errors.FatalError("m"),
  new errors.MaxedError("m"),
  new errors.TimeoutError("m"),
  new errors.RetryError("m"),
  new errors.AttemptLostError({ activityName: "a", attempt: 1 }),
  new errors.ThrownValueError("m", [1]),
  new errors.InterruptedError(run),
  new errors.TerminatedError(run),
  new errors.CanceledError(run),
  new errors.WorkflowExecutionAlreadyStartedError("m", { workflowId: "w", workflowType: "t" }),
  new errors.DuplicateJobError("w", "t"),
  new errors.WorkflowNotFoundError(run),
  new errors.RunClosedError({ ...run, status: "completed" }),
  new errors.StuckError({ ...run, takeoverCount: 10 }),
  new errors.PayloadError("PAYLOAD_TOO_LARGE", { ...words, field: "args", limit: 7 }),
  new errors.DurationError({ field: "f", value: "soon" }),
  new errors.EntityError("ENTITY_BAD_PATH", words),
  new errors.OptionError({ field: "f", value: 7, remedy: "r" }),
  new errors.CrossStoreError({ field: "f", store: "a", otherStore: "b" }),
  new errors.ActivityNotFoundError({ activityName: "a", taskQueue: "q", known: ["b"] }),
  new errors.WorkflowTypeNotFoundError({ workflowType: "t", taskQueue: "q", known: [] }),
  new errors.DeterminismViolation({ call: "fetch", place: "p" }),
  new errors.HistoryMismatchError({ position: 1, expected: "a", actual: "b", place: "p" }),
  new errors.ProcessExitError({ call: "process.exit" }),
  new errors.ConnectionError("BAD_CONNECTION", { message: "m", target: "db" }),
  new errors.SchemaError("SCHEMA_TOO_NEW", { message: "m", schema: "s", foundVersion: 2, neededVersion: 1 }),
  new EvalError("m"),
  new RangeError("m"),
  new ReferenceError("m"),
  new SyntaxError("m"),
  new TypeError("m"),
  new URIError("m"),
])("%s comes back as its class, with its fields", (error) => {
  const decoded = roundTrip(error);
  expect(Object.getPrototypeOf(decoded)).toBe(Object.getPrototypeOf(error));
  expect(Object.entries(decoded)).toEqual(Object.entries(error).filter(([, value]) => value !== undefined));
  expect([decoded.name, decoded.message, decoded.stack]).toEqual([error.name, error.message, error.stack]);
});

test("a control error of the engine does not come back as one", () => {
  expect(errors.didInterrupt(roundTrip(new errors.Interruption("dropped")))).toBe(false);
});

test("a user's class comes back as the nearest known class, under its own name", () => {
  class CardDeclined extends errors.FatalError {
    readonly card = "1234";
  }
  class BadInput extends TypeError {}
  class Named extends Error {
    override readonly name = "Renamed";
  }
  expect(roundTrip(new CardDeclined("m"))).toMatchObject({
    name: "MemFlowFatalError",
    card: "1234",
    code: 598,
  });
  expect(roundTrip(new CardDeclined("m"))).toBeInstanceOf(errors.FatalError);
  expect(roundTrip(new BadInput("m"))).toMatchObject({ name: "BadInput" });
  expect(roundTrip(new BadInput("m"))).toBeInstanceOf(TypeError);
  expect(roundTrip(new Named("m"))).toMatchObject({ name: "Renamed" });
});

test("a user's class that only shares a name with one of ours stays a plain Error", () => {
  class ConnectionError extends Error {}
  const decoded = roundTrip(new ConnectionError("m"));
  expect(decoded.name).toBe("ConnectionError");
  expect(decoded).not.toBeInstanceOf(errors.ConnectionError);
});

test("a FatalError of another copy of the package is still one", () => {
  const foreign = Object.assign(new Error("m"), { name: "MemFlowFatalError", code: 598 });
  expect(roundTrip(foreign)).toBeInstanceOf(errors.FatalError);
  const unknown = Object.assign(new Error("m"), { name: "MemFlowSomethingError" });
  expect(roundTrip(unknown)).not.toBeInstanceOf(errors.MemFlowError);
});

test("an error of another realm is an Error", () => {
  const foreign: unknown = runInNewContext("new RangeError('far away')");
  expect(foreign).not.toBeInstanceOf(Error);
  expect(roundTrip(foreign)).toMatchObject({ name: "RangeError", message: "far away" });
});

test("an AbortError keeps its name", () => {
  expect(roundTrip(AbortSignal.abort().reason)).toMatchObject({ name: "AbortError", code: 20 });
});

test("the chain of causes comes back, with a cause that was no Error as it was", () => {
  const error = new Error("a", { cause: new TypeError("b", { cause: { status: 503 } }) });
  expect(roundTrip(error).cause).toBeInstanceOf(TypeError);
  expect(roundTrip(error)).toMatchObject({ cause: { message: "b", cause: { status: 503 } } });
  expect(Object.keys(roundTrip(error))).toEqual([]);
  expect(Object.hasOwn(roundTrip(new Error("a", { cause: undefined })), "cause")).toBe(false);
});

test("an AggregateError keeps its errors, whatever they are", () => {
  const error = new AggregateError([new RangeError("a"), "b", undefined], "all failed");
  const decoded = roundTrip(error);
  expect(decoded).toBeInstanceOf(AggregateError);
  const inner = (decoded as AggregateError).errors as unknown[];
  expect(inner[0]).toBeInstanceOf(RangeError);
  expect(inner.slice(1)).toEqual(["b", undefined]);
});

test.each([
  ["a text", "a text"],
  [undefined, "undefined"],
  [null, "null"],
  [7, "7"],
  [{ message: "declined", status: 402 }, "declined"],
  [{ status: 402 }, "an object with status"],
  [[1, 2], "an array of 2"],
])("the thrown value %j comes back inside an Error that says %j", (thrown, message) => {
  const decoded = roundTrip(thrown);
  expect(decoded).toBeInstanceOf(errors.ThrownValueError);
  expect(decoded).toMatchObject({ message, code: "THROWN_VALUE" });
  expect((decoded as errors.ThrownValueError).value).toEqual(thrown);
});

test("a second way through JSON changes nothing", () => {
  const cause = new AggregateError([new errors.FatalError("a"), "b"], "c", { cause: { d: 1 } });
  const once = encodeFailure(Object.assign(new Error("e", { cause }), { code: 7, f: "g" }));
  expect(encodeFailure(decodeFailure(once))).toEqual(once);
  const thrown = encodeFailure({ status: 402 });
  expect(encodeFailure(decodeFailure(thrown))).toMatchObject({ base: "ThrownValueError", data: thrown.data });
});

test("circles of causes and of errors end", () => {
  const error = new Error("a");
  error.cause = new Error("b", { cause: error });
  expect(encodeFailure(error)).toMatchObject({ cause: { message: "b" } });
  expect(encodeFailure(error).cause).not.toHaveProperty("cause");
  const aggregate = new AggregateError([1], "c");
  aggregate.errors.push(aggregate);
  expect(encodeFailure(aggregate).errors).toHaveLength(1);
});

test("long chains, wide aggregates and huge texts are cut", () => {
  let chain = new Error("deepest");
  for (let level = 0; level < 1000; level++) chain = new Error(`level ${level}`, { cause: chain });
  let failure: FailureJson | undefined = encodeFailure(chain);
  let levels = 0;
  for (; failure !== undefined; failure = failure.cause) levels += 1;
  expect(levels).toBe(8);

  const wide = new AggregateError(Array.from({ length: 10_000 }, (_, index) => new Error(`${index}`)));
  expect(encodeFailure(wide).errors).toHaveLength(31);
  let aggregate = new AggregateError([], "deepest");
  for (let level = 0; level < 20; level++) aggregate = new AggregateError([aggregate], `level ${level}`);
  expect(JSON.stringify(encodeFailure(aggregate)).split('"errors"')).toHaveLength(8);

  const long = encodeFailure(new Error("x".repeat(10_000_000)));
  expect(long.message.length).toBeLessThan(20_000);
  expect(long.message.endsWith("…")).toBe(true);
});

test("a field is kept whole or left out, and one that is too large costs the others nothing", () => {
  const error = Object.assign(new Error("m"), {
    before: "a",
    huge: "x".repeat(1_000_000),
    list: Array(100_000).fill(1),
    after: "b",
  });
  expect(encodeFailure(error).data).toEqual({ before: "a", after: "b" });
  const wide = Object.assign(new Error("m"), {
    wide: Object.fromEntries(Array.from({ length: 10_000 }, (_, key) => [`key ${key}`, key])),
  });
  expect(encodeFailure(wide)).not.toHaveProperty("data");
  const crowded = Object.assign(
    new Error("m"),
    Object.fromEntries(Array.from({ length: 10_000 }, (_, key) => [`key ${key}`, key])),
  );
  expect(JSON.stringify(encodeFailure(crowded).data).length).toBeLessThan(20_000);
});

test("a field is what JSON can hold of it", () => {
  const shared = { a: 1 };
  const circle: Record<string, unknown> = { name: "circle", shared, again: shared };
  circle["self"] = circle;
  const error = Object.assign(new Error("m"), {
    at: new Date(0),
    nothing: null,
    ok: true,
    ratio: Number.NaN,
    call: () => 1,
    big: 7n,
    missing: undefined,
    circle,
    list: [1, undefined, () => 1],
    unreadable: { toJSON: refuse },
  });
  expect(encodeFailure(error).data).toEqual({
    at: "1970-01-01T00:00:00.000Z",
    nothing: null,
    ok: true,
    ratio: null,
    circle: { name: "circle", shared: { a: 1 }, again: { a: 1 } },
    list: [1, null, null],
  });
});

test("no NUL and no half character is left, as jsonb takes neither", () => {
  const error = Object.assign(new Error("a\0b", { cause: "c\0\ud800" }), {
    "d\0": ["e\ud800", { "f\udc00": "\0" }],
    code: "\0",
  });
  error.name = "Na\0me";
  const text = JSON.stringify(encodeFailure(error));
  expect(text).not.toContain(String.raw`\u0000`);
  expect(text).not.toMatch(/\\ud[89a-f]/);
  expect(text).toContain("a\ufffdb");
});

test("a field __proto__ stays a field", () => {
  const error = Object.assign(new Error("m"), {
    detail: JSON.parse('{"__proto__":{"admin":true}}') as unknown,
  });
  const decoded = roundTrip(error) as Error & { detail: object };
  expect(Object.hasOwn(decoded.detail, "__proto__")).toBe(true);
  expect(Object.getPrototypeOf(decoded.detail)).toBe(Object.prototype);
});

const revoked = Proxy.revocable({}, {});
revoked.revoke();
const chainWithoutEnd: ProxyHandler<object> = { getPrototypeOf: () => new Proxy({}, chainWithoutEnd) };
const unreadable = {
  message: { get: refuse },
  name: { get: refuse },
  code: { get: refuse },
  stack: { get: refuse },
  cause: { get: refuse },
  data: { get: refuse, enumerable: true },
};

test.each([
  ["a proxy that refuses every question", () => new Proxy({}, hostileHandler)],
  ["an Error behind such a proxy", () => new Proxy(new Error("m"), hostileHandler)],
  ["a proxy that only hides its prototype", () => new Proxy(new Error("m"), { getPrototypeOf: refuse })],
  ["an Error that lists no keys", () => new Proxy(new Error("m"), { ownKeys: refuse })],
  ["a revoked proxy", () => revoked.proxy],
  [
    "an Error with a revoked proxy as its errors",
    () => Object.assign(new AggregateError([]), { errors: revoked.proxy }),
  ],
  ["an Error with no array as its errors", () => Object.assign(new AggregateError([]), { errors: 7 })],
  ["an Error whose every property throws", () => Object.defineProperties(new Error("m"), unreadable)],
  [
    "an Error with members of odd types",
    () => Object.assign(new Error("m"), { name: 7, message: {}, code: {}, stack: 7 }),
  ],
  ["an Error without a name", () => Object.assign(new Error("m"), { name: "" })],
  ["an Error with an infinite code", () => Object.assign(new Error("m"), { code: Infinity })],
  ["an Error without a constructor", () => Object.assign(new Error("m"), { constructor: undefined })],
  ["an Error of a class without a name", () => new (class extends Error {})("m")],
  [
    "a tagged object without a prototype",
    () => Object.assign(Object.create(null), { [Symbol.toStringTag]: "Error" }),
  ],
  [
    "an Error with a chain of prototypes without end",
    () => Object.setPrototypeOf(new Error("m"), new Proxy({}, chainWithoutEnd)),
  ],
  ["a function", () => () => 1],
  ["a symbol", () => Symbol("s")],
  ["a large BigInt", () => 10n ** 1000n],
])("%s neither throws nor is lost", (_, make) => {
  const failure = encodeFailure(make());
  expect(failure.name).not.toBe("");
  expect(decodeFailure(JSON.parse(JSON.stringify(failure)) as FailureJson)).toBeInstanceOf(Error);
});

test("whatever is thrown becomes bounded JSON that comes back as an Error", () => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withTypedArray: true,
    withNullPrototype: true,
    withSparseArray: true,
    withUnicodeString: true,
  });
  const thrown = fc.oneof(
    anything,
    fc
      .tuple(fc.string({ unit: "binary" }), fc.dictionary(fc.string({ unit: "binary" }), anything), anything)
      .map(([message, fields, cause]) => {
        const error = new Error(message, { cause });
        for (const [key, value] of Object.entries(fields)) {
          Object.defineProperty(error, key, { value, enumerable: true, configurable: true, writable: true });
        }
        return error;
      }),
  );
  fc.assert(
    fc.property(thrown, (value) => {
      const failure = encodeFailure(value);
      const text = JSON.stringify(failure);
      expect(Buffer.byteLength(text)).toBeLessThan(FAILURE_BYTES_MAX * 1.5);
      expect(JSON.parse(text)).toEqual(failure);
      expect(text.isWellFormed()).toBe(true);
      expect(decodeFailure(failure)).toBeInstanceOf(Error);
    }),
    { numRuns: 500 },
  );
});

test("the worst case stays below the bound", () => {
  const worst = (depth: number): Error => {
    const inner = depth === 0 ? [] : Array.from({ length: 8 }, () => worst(depth - 1));
    const error = new AggregateError(inner, "\u0001".repeat(100_000));
    error.name = "\u0001".repeat(1000);
    return Object.assign(error, {
      code: "\u0001".repeat(1000),
      stack: "\u0001".repeat(100_000),
      a: "\u0001".repeat(2000),
      b: "\u0001".repeat(2000),
    });
  };
  expect(Buffer.byteLength(JSON.stringify(encodeFailure(worst(2))))).toBeLessThan(FAILURE_BYTES_MAX * 1.5);
});

test.each([
  [null],
  [undefined],
  ["text"],
  [7],
  [{}],
  [[]],
  [{ name: 7, message: {}, data: null, errors: 7, cause: null }],
  [{ base: "NoSuchError" }],
])("the row %j, which no encoder wrote, still gives an Error", (row) => {
  expect(decodeFailure(row as unknown as FailureJson)).toBeInstanceOf(Error);
});
