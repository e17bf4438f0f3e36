/** Payloads: what JSON holds comes back, what JSON would lose is refused with its place. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { PayloadError } from "./errors.ts";
import type { PayloadErrorCode } from "./errors.ts";
import { copyPlain } from "./payload-copy.ts";
import { isPlainJson } from "./payload-scan.ts";
import {
  PAYLOAD_DEPTH_MAX,
  PAYLOAD_LIMIT_BYTES,
  decodePayload,
  encodeArguments,
  encodePayload,
} from "./payload.ts";

const encode = (value: unknown): string | null => encodePayload(value, { field: "args" });
const roundTrip = (value: unknown): unknown => decodePayload(encode(value));

/** The error that a value is refused with. */
function refusal(value: unknown, limits: { limitBytes?: number; depthMax?: number } = {}): PayloadError {
  try {
    encodePayload(value, { field: "args", ...limits });
  } catch (error) {
    if (error instanceof PayloadError) return error;
    throw error;
  }
  throw new Error("the payload was not refused");
}

function expectRefusal(value: unknown, code: PayloadErrorCode, path: string): void {
  expect(refusal(value)).toMatchObject({ code, path, field: "args" });
  expect(refusal(value).message).toContain(`payload "${path}" `);
}

/** Arrays in arrays. */
function nest(levels: number): unknown {
  let value: unknown = 7;
  for (let level = 0; level < levels; level++) value = [value];
  return value;
}

const withoutNul = (text: string): string => text.replaceAll("\0", "?");
const jsonText = fc.string({ unit: "binary" }).map(withoutNul);
const jsonValue = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constant(null),
    fc.boolean(),
    // -0 comes back as 0.
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
    jsonText,
    fc.array(tie("value")),
    fc.dictionary(jsonText, tie("value")),
  ),
})).value;

test("any JSON value comes back as it was", () => {
  fc.assert(
    fc.property(jsonValue, (value) => {
      expect(encode(value)).toBe(JSON.stringify(value));
      expect(roundTrip(value)).toEqual(value);
    }),
  );
});

test("the close look gives the same JSON as the quick one", () => {
  fc.assert(
    fc.property(jsonValue, (value) => {
      const limits = { field: "args", limitBytes: PAYLOAD_LIMIT_BYTES, depthMax: PAYLOAD_DEPTH_MAX };
      expect(isPlainJson(value, limits)).toBe(true);
      expect(JSON.stringify(copyPlain(value, limits))).toBe(JSON.stringify(value));
    }),
  );
});

test("anything at all is written as JSON.stringify writes it, or refused with the typed error", () => {
  const anything = fc.anything({
    withBigInt: true,
    withBoxedValues: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withNullPrototype: true,
    withObjectString: true,
    withSparseArray: true,
    withTypedArray: true,
    withUnicodeString: true,
  });
  fc.assert(
    fc.property(anything, (value) => {
      try {
        expect(encode(value)).toBe(JSON.stringify(value) ?? null);
      } catch (error) {
        expect(error).toBeInstanceOf(PayloadError);
      }
    }),
    { numRuns: 1000 },
  );
});

test("undefined is no text, and no text is undefined", () => {
  expect(encode(undefined)).toBeNull();
  expect(encode({ toJSON: () => undefined })).toBeNull();
  expect(decodePayload(null)).toBeUndefined();
});

test.each([
  [[], "[]"],
  [[1, undefined], "[1]"],
  [[undefined, undefined], "[]"],
  [[undefined, 1, undefined], "[null,1]"],
  [[null, null], "[null,null]"],
])("of the arguments %j only an undefined before another becomes null: %s", (args, text) => {
  expect(encodeArguments(args, { field: "args" })).toBe(text);
});

test.each([
  [
    [undefined, 1],
    [null, 1],
  ],
  [{ a: undefined, b: 1 }, { b: 1 }],
  [[{ at: new Date(0) }], [{ at: "1970-01-01T00:00:00.000Z" }]],
  [new URL("http://localhost/a"), "http://localhost/a"],
  [{ toJSON: (key: string) => `asked for "${key}"` }, 'asked for ""'],
  [{ a: { toJSON: (key: string) => `asked for "${key}"` } }, { a: 'asked for "a"' }],
  [[{ toJSON: (key: string) => `asked for "${key}"` }], ['asked for "0"']],
  [[Object.assign([1], { toJSON: () => "list" })], ["list"]],
  [[Object.assign(() => 1, { toJSON: () => "function" })], ["function"]],
  [Object.assign(new Date(0), { toJSON: () => "a day" }), "a day"],
  [Buffer.from("a"), { type: "Buffer", data: [97] }],
  [Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
  [
    new (class Point {
      x = 1;
      y = undefined;
      z = null;
      ok = true;
    })(),
    { x: 1, z: null, ok: true },
  ],
  [Object.create({ inherited: 1 }), {}],
  [
    [new Number(7), new String("a"), new Boolean(false)],
    [7, "a", false],
  ],
  [{ [Symbol("hidden")]: 1, a: 1 }, { a: 1 }],
  ["\\u0000", "\\u0000"],
  [-0, 0],
])("%o comes back as %o", (value, expected) => {
  expect(roundTrip(value)).toEqual(expected);
  expect(encode(value)).toBe(JSON.stringify(value));
});

test("an own key __proto__ stays a key, and changes no prototype", () => {
  const value: unknown = JSON.parse('{"__proto__":{"admin":true}}');
  const copied = JSON.parse('{"at":null,"__proto__":{"admin":true}}') as Record<string, unknown>;
  copied["at"] = Object.assign(new Date(0), { toJSON: () => "a day" });
  expect(encode(value)).toBe('{"__proto__":{"admin":true}}');
  expect(encode(copied)).toBe('{"at":"a day","__proto__":{"admin":true}}');
  expect(Object.getPrototypeOf(roundTrip(copied))).toBe(Object.prototype);
});

test("half a character comes back, and Postgres sees none", () => {
  for (const value of ["cut \ud83d", { a: ["\udc00", "\\ud800 in words"], "\ud800": 1 }, "whole 🧑‍🚀"]) {
    expect(roundTrip(value)).toEqual(value);
    // An escape of a surrogate would stand after an even number of backslashes.
    expect(encode(value)).not.toMatch(/(?<!\\)(?:\\\\)*\\ud[89a-f]/);
  }
  expect(encode("cut \ud83d")).toBe(String.raw`{"$memflow.json":"\"cut \\ud83d\""}`);
  expect(encode("whole 🧑‍🚀")).toBe('"whole 🧑‍🚀"');
});

test("a payload that looks like the envelope of another is not taken for it", () => {
  for (const value of [{ "$memflow.json": "1" }, { "$memflow.json": 1, b: 2 }, [{ "$memflow.json": "x" }]]) {
    expect(roundTrip(value)).toEqual(value);
  }
});

class Money {
  readonly cents: unknown;

  constructor(cents: unknown) {
    this.cents = cents;
  }
}

test.each<[unknown, string]>([
  [7n, "args"],
  [[{ user: { id: 7n } }], "args[0].user.id"],
  [[() => 1], "args[0]"],
  [{ a: Symbol("s") }, "args.a"],
  [Symbol("s"), "args"],
  [[1, Number.NaN], "args[1]"],
  [[-Infinity], "args[0]"],
  [{ "first name": [new Map([[1, 2]])] }, 'args["first name"][0]'],
  [new Set([1]), "args"],
  [[new Date(Number.NaN).getTime()], "args[0]"],
  [new WeakMap(), "args"],
  [{ pending: Promise.resolve(1) }, "args.pending"],
  [/a/, "args"],
  [new Error("lost"), "args"],
  [Object.assign(new Error("lost"), { code: 7 }), "args"],
  [new Uint8Array([1, 2]), "args"],
  [new Uint8Array(), "args"],
  [new ArrayBuffer(8), "args"],
  [new Money(7n), "args.cents"],
  [{ amount: new Money(new Money(() => 1)) }, "args.amount.cents.cents"],
  [Object(7n), "args"],
  [{ toJSON: () => 7n }, "args"],
  [{ toJSON: () => ({ a: Number.NaN }) }, "args.a"],
])("%o is refused at %s", (value, path) => {
  expectRefusal(value, "PAYLOAD_NOT_SERIALIZABLE", path);
});

test("a Date without a time is refused, it would come back as null", () => {
  expectRefusal([new Date(Number.NaN)], "PAYLOAD_NOT_SERIALIZABLE", "args[0]");
});

test("a circle is refused at the place that closes it", () => {
  const value: { self?: unknown; list: unknown[] } = { list: [] };
  value.list.push({ back: value });
  expectRefusal(value, "PAYLOAD_NOT_SERIALIZABLE", "args.list[0].back");
});

test("the same object twice is no circle", () => {
  const shared = { a: 1 };
  expect(roundTrip([shared, shared])).toEqual([{ a: 1 }, { a: 1 }]);
  expect(roundTrip([new Money(shared), shared])).toEqual([{ cents: { a: 1 } }, { a: 1 }]);
});

test("what throws when it is read is refused, with the cause", () => {
  const cause = new Error("no");
  const throwing = {
    get a(): unknown {
      throw cause;
    },
  };
  expect(refusal([throwing])).toMatchObject({ code: "PAYLOAD_NOT_SERIALIZABLE", path: "args", cause });
  expect(
    refusal({
      toJSON: () => {
        throw cause;
      },
    }),
  ).toMatchObject({ code: "PAYLOAD_NOT_SERIALIZABLE", cause });
});

test.each<[unknown, string]>([
  ["\0", "args"],
  [["a", { b: "x\0y" }], "args[1].b"],
  [{ "a\0": 1 }, 'args["a\\u0000"]'],
  [{ fine: "\\u0000", bad: ["\0"] }, "args.bad[0]"],
])("U+0000 in %j is refused at %s", (value, path) => {
  expectRefusal(value, "PAYLOAD_NUL_CHARACTER", path);
});

test("the written form of U+0000 is six harmless characters", () => {
  expect(roundTrip({ "\\u0000": ["\\u0000", 7, null] })).toEqual({ "\\u0000": ["\\u0000", 7, null] });
});

test("a payload of the limit passes, one byte more is refused with the limit", () => {
  const text = "x".repeat(PAYLOAD_LIMIT_BYTES - 2);
  expect(encode(text)).toHaveLength(PAYLOAD_LIMIT_BYTES);
  expectRefusal(`${text}x`, "PAYLOAD_TOO_LARGE", "args");
  expect(refusal(`${text}x`).limit).toBe(PAYLOAD_LIMIT_BYTES);
});

test("for any value, its own size passes as the limit, and one byte less is refused", () => {
  // The values of the second kind take the way of the close look.
  const value = fc.oneof(
    jsonValue,
    jsonValue.map((cents) => new Money(cents)),
  );
  fc.assert(
    fc.property(value, (payload) => {
      const bytes = Buffer.byteLength(JSON.stringify(payload));
      expect(encodePayload(payload, { field: "args", limitBytes: bytes })).not.toBeNull();
      expect(refusal(payload, { limitBytes: bytes - 1 }).code).toBe("PAYLOAD_TOO_LARGE");
    }),
  );
});

test("bytes are counted, not characters", () => {
  expect(refusal("ä".repeat(10), { limitBytes: 21 })).toMatchObject({ code: "PAYLOAD_TOO_LARGE", limit: 21 });
  expect(refusal("ä".repeat(10), { limitBytes: 21 }).message).toContain("is 22 bytes");
});

test("an object that is shared beyond counting is refused by size, at once", () => {
  let value: unknown = [1];
  for (let level = 0; level < 60; level++) value = [value, value];
  expectRefusal(value, "PAYLOAD_TOO_LARGE", "args");
});

test("the deepest allowed payload passes, one level more is refused with the place", () => {
  expect(roundTrip(nest(PAYLOAD_DEPTH_MAX))).toEqual(nest(PAYLOAD_DEPTH_MAX));
  expectRefusal(nest(PAYLOAD_DEPTH_MAX + 1), "PAYLOAD_TOO_DEEP", `args${"[0]".repeat(PAYLOAD_DEPTH_MAX)}`);
  expect(refusal(nest(3), { depthMax: 2 })).toMatchObject({ code: "PAYLOAD_TOO_DEEP", limit: 2 });
  expect(refusal(nest(1_000_000)).code).toBe("PAYLOAD_TOO_DEEP");
});

test("text that is no JSON is refused", () => {
  expect(() => decodePayload("{")).toThrow(expect.objectContaining({ code: "PAYLOAD_UNREADABLE" }));
});
