/**
 * Randomness that a replay repeats: inside a run every source draws from the run's seeded sequence.
 *
 * Promises the checks, errors and shapes of the originals, since they are called first and only their random bytes are
 * replaced. Inside a run the values can be foretold by whoever knows the run id, so keys and key pairs are refused
 * there. Does not cover libraries that hold a native generator of their own.
 */
import crypto from "node:crypto";
import type { RunGuard } from "./guard-hooks.ts";
import { currentRun } from "./guard-hooks.ts";
import type { BuiltIn } from "./function-replacement.ts";
import { refuseInRuns, replaceFunction } from "./function-replacement.ts";

const UINT32_RANGE = 2 ** 32;
/** What is left of a double's 53 bits after one draw of 32. */
const LOW_BITS_RANGE = 2 ** 21;

/** Functions whose result is meant to be secret or comes from a thread of Node's pool, so no replay can repeat it. */
const REFUSED_CRYPTO: readonly string[] = [
  "generateKey",
  "generateKeySync",
  "generateKeyPair",
  "generateKeyPairSync",
  "generatePrime",
  "generatePrimeSync",
  "checkPrime",
  "argon2",
  "pbkdf2",
  "scrypt",
  "hkdf",
];

/** Guards `Math.random` and the random sources of `node:crypto` and Web Crypto. */
export function guardRandomness(): void {
  replaceFunction(Math, "random", (original) => {
    return function random(): unknown {
      const run = currentRun();
      return run === undefined ? original() : run.random();
    };
  });
  guardUuids();
  guardBytes();
  guardIntegers();
  refuseInRuns({ owner: crypto, ownerName: "node:crypto", names: REFUSED_CRYPTO });
  const subtle = Object.getPrototypeOf(globalThis.crypto.subtle) as object;
  const names = Object.getOwnPropertyNames(subtle).filter((name) => name !== "constructor");
  refuseInRuns({ owner: subtle, ownerName: "crypto.subtle", names });
}

function guardUuids(): void {
  const webCrypto = Object.getPrototypeOf(globalThis.crypto) as object;
  replaceResult(webCrypto, "randomUUID", (run) => uuidV4(run));
  replaceResult(crypto, "randomUUID", (run) => uuidV4(run));
  replaceResult(crypto, "randomUUIDv7", (run) => uuidV7(run));
  replaceResult(webCrypto, "getRandomValues", (run, real) => {
    const { buffer, byteOffset, byteLength } = real as ArrayBufferView;
    fillRandom(run, new Uint8Array(buffer, byteOffset, byteLength));
    return real;
  });
}

function guardBytes(): void {
  replaceCallable(crypto, "randomBytes", 1, (run, real) => {
    fillRandom(run, real as Uint8Array);
    return real;
  });
  replaceResult(crypto, "randomFillSync", fillTarget);
  replaceFunction(crypto, "randomFill", (original) => {
    return function randomFill(this: unknown, ...values: unknown[]): unknown {
      const run = currentRun();
      const callback = values.at(-1);
      if (run === undefined || typeof callback !== "function") return Reflect.apply(original, this, values);
      const target = crypto.randomFillSync(...(values.slice(0, -1) as [Uint8Array]));
      process.nextTick(callback, null, target);
      return undefined;
    };
  });
  // Deprecated names of the same function, kept in step so that they are no way round it.
  for (const alias of ["pseudoRandomBytes", "prng", "rng"]) {
    const value = crypto.randomBytes;
    Object.defineProperty(crypto, alias, { value, writable: true, configurable: true });
  }
}

function guardIntegers(): void {
  replaceFunction(crypto, "randomInt", (original) => {
    return function randomInt(this: unknown, ...values: unknown[]): unknown {
      const run = currentRun();
      if (run === undefined) return Reflect.apply(original, this, values);
      const callback = typeof values.at(-1) === "function" ? (values.at(-1) as BuiltIn) : undefined;
      const bounds = callback === undefined ? values : values.slice(0, -1);
      Reflect.apply(original, this, bounds);
      const [low, high] = bounds.length < 2 ? [0, bounds[0]] : bounds;
      const drawn = Number(low) + randomBelow(run, Number(high) - Number(low));
      if (callback === undefined) return drawn;
      process.nextTick(callback, undefined, drawn);
      return undefined;
    };
  });
}

/** Calls the original in any case, for its checks, and inside a run replaces what it returned. */
function replaceResult(
  owner: object,
  name: string,
  replace: (run: RunGuard, real: unknown, values: readonly unknown[]) => unknown,
): void {
  replaceFunction(owner, name, (original) => {
    return function deterministicInRuns(this: unknown, ...values: unknown[]): unknown {
      const run = currentRun();
      const real = Reflect.apply(original, this, values);
      return run === undefined ? real : replace(run, real, values);
    };
  });
}

/** As `replaceResult`, for a function that takes a callback at `callbackIndex` or returns its result. */
function replaceCallable(
  owner: object,
  name: string,
  callbackIndex: number,
  replace: (run: RunGuard, real: unknown) => unknown,
): void {
  replaceFunction(owner, name, (original) => {
    return function deterministicInRuns(this: unknown, ...values: unknown[]): unknown {
      const run = currentRun();
      if (run === undefined) return Reflect.apply(original, this, values);
      const callback = values[callbackIndex];
      const result = replace(run, Reflect.apply(original, this, values.slice(0, callbackIndex)));
      if (typeof callback !== "function") return result;
      process.nextTick(callback, null, result);
      return undefined;
    };
  });
}

/** The part of the buffer that `randomFillSync(buffer, offset, size)` fills; both count elements, not bytes. */
function fillTarget(run: RunGuard, real: unknown, values: readonly unknown[]): unknown {
  const target = real as ArrayBuffer | (ArrayBufferView & { readonly BYTES_PER_ELEMENT?: number });
  const elementBytes = "BYTES_PER_ELEMENT" in target ? (target.BYTES_PER_ELEMENT ?? 1) : 1;
  const offset = Number(values[1] ?? 0) * elementBytes;
  const size = values[2] === undefined ? target.byteLength - offset : Number(values[2]) * elementBytes;
  const bytes = ArrayBuffer.isView(target)
    ? new Uint8Array(target.buffer, target.byteOffset + offset, size)
    : new Uint8Array(target, offset, size);
  fillRandom(run, bytes);
  return real;
}

function fillRandom(run: RunGuard, bytes: Uint8Array): void {
  for (let index = 0; index < bytes.length; index += 4) {
    const word = Math.floor(run.random() * UINT32_RANGE);
    for (let byte = 0; byte < 4 && index + byte < bytes.length; byte += 1) {
      bytes[index + byte] = (word >>> (byte * 8)) & 0xff;
    }
  }
}

/** Uniform in 0 .. range - 1, for ranges up to 2^48; one draw gives 32 bits, which a larger range would thin out. */
function randomBelow(run: RunGuard, range: number): number {
  if (range <= UINT32_RANGE) return Math.floor(run.random() * range);
  const high = Math.floor(run.random() * UINT32_RANGE);
  const low = Math.floor(run.random() * LOW_BITS_RANGE);
  return Math.floor(((high * LOW_BITS_RANGE + low) / (UINT32_RANGE * LOW_BITS_RANGE)) * range);
}

function uuidV4(run: RunGuard): string {
  const bytes = new Uint8Array(16);
  fillRandom(run, bytes);
  return formatUuid(bytes, 4);
}

function uuidV7(run: RunGuard): string {
  const bytes = new Uint8Array(16);
  fillRandom(run, bytes);
  new DataView(bytes.buffer).setUint32(0, Math.floor(run.nowMs() / 2 ** 16));
  new DataView(bytes.buffer).setUint16(4, Math.trunc(run.nowMs()) % 2 ** 16);
  return formatUuid(bytes, 7);
}

function formatUuid(bytes: Uint8Array, version: 4 | 7): string {
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | (version << 4);
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Buffer.from(bytes.buffer).toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
