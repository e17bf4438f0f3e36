/** UUIDs of version 7: well-formed, and in the order of time. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { UUID_V7_RANDOM_BYTES, formatUuid, uuidV7 } from "./uuid.ts";

const TIME_MAX_MS = 2 ** 48 - 1;
const times = fc.integer({ min: 0, max: TIME_MAX_MS });
const randomBytes = fc.uint8Array({ minLength: UUID_V7_RANDOM_BYTES, maxLength: 16 });

test("the example of RFC 9562 comes out", () => {
  const bytes = Uint8Array.from([0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f]);
  expect(uuidV7(0x017f22e279b0, bytes)).toBe("017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
});

test("every id is a version 7 UUID that begins with its time", () => {
  fc.assert(
    fc.property(times, randomBytes, (nowMs, bytes) => {
      const id = uuidV7(nowMs, bytes);
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)).toBe(nowMs);
    }),
  );
});

test("an id of a later millisecond sorts after an earlier one, whatever the random bytes", () => {
  fc.assert(
    fc.property(times, times, randomBytes, randomBytes, (oneMs, otherMs, bytes, otherBytes) => {
      fc.pre(oneMs < otherMs);
      expect(uuidV7(oneMs, bytes) < uuidV7(otherMs, otherBytes)).toBe(true);
    }),
  );
});

test("a fraction of a millisecond is dropped", () => {
  const bytes = new Uint8Array(UUID_V7_RANDOM_BYTES);
  expect(uuidV7(5.9, bytes)).toBe(uuidV7(5, bytes));
});

test.each([-1, TIME_MAX_MS + 1, Number.NaN, Infinity])("the time %d is refused", (nowMs) => {
  expect(() => uuidV7(nowMs, new Uint8Array(UUID_V7_RANDOM_BYTES))).toThrow(RangeError);
});

test("too few random bytes are refused", () => {
  expect(() => uuidV7(0, new Uint8Array(UUID_V7_RANDOM_BYTES - 1))).toThrow(RangeError);
});

test("version and variant replace the bits that are there", () => {
  expect(formatUuid(new Uint8Array(16).fill(255), 4)).toBe("ffffffff-ffff-4fff-bfff-ffffffffffff");
  expect(formatUuid(new Uint8Array(16), 4)).toBe("00000000-0000-4000-8000-000000000000");
});
