import crypto, { randomBytes, randomFill, randomInt, randomUUID, webcrypto } from "node:crypto";
import { promisify } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { GuardedRun, RefusedCall } from "../testing/guarded-run.ts";

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** One value of every source. */
function drawAll(): unknown[] {
  return [
    Math.random(),
    globalThis.crypto.randomUUID(),
    randomUUID(),
    crypto.randomUUID({ disableEntropyCache: true }),
    globalThis.crypto.getRandomValues(new Uint32Array(3)),
    crypto.getRandomValues(new Uint8Array(5)),
    webcrypto.getRandomValues(new Uint8Array(5)),
    randomBytes(7).toString("hex"),
    crypto.pseudoRandomBytes(3).toString("hex"),
    crypto.randomFillSync(Buffer.alloc(6)).toString("hex"),
    randomInt(1_000_000),
    randomInt(-5, 2 ** 47),
  ];
}

test("every source repeats in a run of the same seed and differs in another one", () => {
  const first = new GuardedRun("a").enter(drawAll);
  expect(new GuardedRun("a").enter(drawAll)).toEqual(first);
  const other = new GuardedRun("b").enter(drawAll);
  for (const [index, value] of other.entries()) expect(value).not.toEqual(first[index]);
});

test("a run's draws follow one another and are not the same", () => {
  const run = new GuardedRun();
  const first = run.enter(drawAll);
  for (const [index, value] of run.enter(drawAll).entries()) expect(value).not.toEqual(first[index]);
});

test("sources are really random outside runs", () => {
  const run = new GuardedRun();
  const inside = run.enter(drawAll);
  const outside = drawAll();
  for (const [index, value] of drawAll().entries()) {
    expect(value).not.toEqual(outside[index]);
    expect(value).not.toEqual(inside[index]);
  }
});

test("uuids of a run are valid", () => {
  const run = new GuardedRun();
  run.timeMs = 0x0123_4567_89ab;
  run.enter(() => {
    expect(globalThis.crypto.randomUUID()).toMatch(UUID_V4);
    expect(randomUUID()).toMatch(UUID_V4);
    const { randomUUIDv7 } = crypto as { randomUUIDv7?: () => string };
    expect(randomUUIDv7?.() ?? "01234567-89ab-7000-8000-000000000000").toMatch(
      /^01234567-89ab-7[0-9a-f]{3}-[89ab]/,
    );
  });
});

test("callbacks get a run's values within the run's microtasks", async () => {
  const draw = async (): Promise<string[]> => {
    const bytes = await promisify(randomBytes)(4);
    const filled = await new Promise<Buffer>((resolve, reject) => {
      randomFill(Buffer.alloc(4), (error, buffer) =>
        error instanceof Error ? reject(error) : resolve(buffer),
      );
    });
    const drawn = await new Promise<number>((resolve, reject) => {
      randomInt(10, 2 ** 40, (error, value) => (error instanceof Error ? reject(error) : resolve(value)));
    });
    return [bytes.toString("hex"), filled.toString("hex"), String(drawn)];
  };
  const first = await new GuardedRun("a").enter(draw);
  expect(await new GuardedRun("a").enter(draw)).toEqual(first);
});

test("only the named part of a buffer is filled", () => {
  const run = new GuardedRun();
  run.enter(() => {
    expect([...crypto.randomFillSync(new Uint8Array(6), 2, 0)]).toEqual([0, 0, 0, 0, 0, 0]);
    const words = crypto.randomFillSync(new Uint32Array(4), 1, 2);
    expect([words[0], words[3]]).toEqual([0, 0]);
    expect(words[1]).not.toBe(0);
    expect(words[2]).not.toBe(0);
    const view = new Uint8Array(new ArrayBuffer(8), 2, 4);
    globalThis.crypto.getRandomValues(view);
    expect(new Uint8Array(view.buffer)[0]).toBe(0);
    expect(new Uint8Array(view.buffer)[7]).toBe(0);
    expect(view.some((byte) => byte !== 0)).toBe(true);
    const buffer = new ArrayBuffer(5);
    Reflect.apply(crypto.randomFillSync, crypto, [buffer]);
    expect(new Uint8Array(buffer).some((byte) => byte !== 0)).toBe(true);
  });
});

test("integers stay within their bounds and reach both ends", () => {
  const run = new GuardedRun();
  const bounds = fc.record({
    low: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    size: fc.integer({ min: 1, max: 2 ** 46 }),
  });
  fc.assert(
    fc.property(bounds, ({ low, size }) => {
      const drawn = run.enter(() => randomInt(low, low + size));
      return Number.isSafeInteger(drawn) && drawn >= low && drawn < low + size;
    }),
  );
  const dice = new Set(Array.from({ length: 200 }, () => run.enter(() => randomInt(1, 7))));
  expect(dice).toEqual(new Set([1, 2, 3, 4, 5, 6]));
});

test("wrong arguments are Node's own errors", () => {
  const run = new GuardedRun();
  run.enter(() => {
    expect(() => randomInt(5, 5)).toThrow(expect.objectContaining({ code: "ERR_OUT_OF_RANGE" }));
    expect(() => randomBytes(-1)).toThrow(expect.objectContaining({ code: "ERR_OUT_OF_RANGE" }));
    expect(() => crypto.randomFillSync(new Uint8Array(2), 3)).toThrow(
      expect.objectContaining({ code: "ERR_OUT_OF_RANGE" }),
    );
    expect(() => globalThis.crypto.getRandomValues(new Uint8Array(65_537))).toThrow(
      expect.objectContaining({ name: "QuotaExceededError" }),
    );
    const { randomUUID: unbound } = globalThis.crypto;
    expect(() => Reflect.apply(unbound, {}, [])).toThrow(TypeError);
  });
});

test("keys, and what leaves the main thread, are refused in a run and work outside", async () => {
  const run = new GuardedRun();
  const calls: (() => unknown)[] = [
    () => crypto.generateKeyPairSync("ed25519"),
    () => crypto.generateKeySync("aes", { length: 128 }),
    () => crypto.pbkdf2("a", "b", 1, 8, "sha256", () => undefined),
    () => globalThis.crypto.subtle.digest("SHA-256", new Uint8Array(1)),
  ];
  run.enter(() => {
    for (const call of calls) expect(call).toThrow(RefusedCall);
    expect(crypto.createHash("sha256").update("a").digest("hex")).toHaveLength(64);
  });
  expect(run.refused).toEqual([
    "node:crypto.generateKeyPairSync",
    "node:crypto.generateKeySync",
    "node:crypto.pbkdf2",
    "crypto.subtle.digest",
  ]);
  expect((await globalThis.crypto.subtle.digest("SHA-256", new Uint8Array(1))).byteLength).toBe(32);
  expect(crypto.generateKeySync("aes", { length: 128 }).symmetricKeySize).toBe(16);
});
