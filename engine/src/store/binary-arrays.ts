/**
 * Arrays in Postgres' binary wire format, so that `unnest($1::uuid[], ...)` costs no escaping and no parsing of text.
 *
 * Promises a Buffer that `pg` sends as a binary parameter; null elements and empty arrays are kept. The parameter must
 * be cast to exactly this element type. One dimension only.
 *
 * @see https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/utils/adt/arrayfuncs.c (array_recv)
 */

/** Element type OIDs: SELECT oid, typname FROM pg_type. */
const OID = {
  bool: 16,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  json: 114,
  timestamptz: 1184,
  uuid: 2950,
  jsonb: 3802,
} as const;

/** Dimensions, has-null flag, element type, length, lower bound: int32 each. */
const HEADER_BYTES = 20;
/** An empty array has no dimension, so no length and no lower bound. */
const EMPTY_BYTES = 12;
const LENGTH_BYTES = 4;
const NULL_LENGTH = -1;
const UUID_BYTES = 16;
const UUID_TEXT_LENGTH = 36;
const JSONB_VERSION = 1;
/** 2000-01-01T00:00:00Z, where Postgres counts microseconds from. */
const POSTGRES_EPOCH_MS = 946_684_800_000;
const TWO_POW_32 = 4_294_967_296;
const INT8_MAX = 9_223_372_036_854_775_807n;
const INT8_MIN = -9_223_372_036_854_775_808n;

/** Value of each hexadecimal digit by char code. */
const NOT_HEX = 255;
const HEX_VALUES: Uint8Array = makeHexValues();

/** `uuid[]` from their text form with dashes. */
export function uuidArray(values: readonly (string | null)[]): Buffer {
  return fixedArray({ oid: OID.uuid, bytes: UUID_BYTES, values, write: writeUuid });
}

/** `text[]`. */
export function textArray(values: readonly (string | null)[]): Buffer {
  return stringArray(OID.text, values, 0);
}

/** `json[]` from JSON texts. */
export function jsonArray(values: readonly (string | null)[]): Buffer {
  return stringArray(OID.json, values, 0);
}

/** `jsonb[]` from JSON texts. */
export function jsonbArray(values: readonly (string | null)[]): Buffer {
  return stringArray(OID.jsonb, values, 1);
}

/** `int2[]`. */
export function int2Array(values: readonly (number | null)[]): Buffer {
  return fixedArray({
    oid: OID.int2,
    bytes: 2,
    values,
    write: (buffer, value, at) => void buffer.writeInt16BE(integer(value), at),
  });
}

/** `int4[]`. */
export function int4Array(values: readonly (number | null)[]): Buffer {
  return fixedArray({
    oid: OID.int4,
    bytes: 4,
    values,
    write: (buffer, value, at) => void buffer.writeInt32BE(integer(value), at),
  });
}

/** `int8[]` from bigints or safe integers. */
export function int8Array(values: readonly (bigint | number | null)[]): Buffer {
  return fixedArray({ oid: OID.int8, bytes: 8, values, write: writeInt8 });
}

/** `boolean[]`. */
export function boolArray(values: readonly (boolean | null)[]): Buffer {
  return fixedArray({
    oid: OID.bool,
    bytes: 1,
    values,
    write: (buffer, value, at) => {
      buffer[at] = value ? 1 : 0;
    },
  });
}

/** `timestamptz[]` from milliseconds since 1970; fractions keep microseconds, ±Infinity is `infinity`. */
export function timestamptzArray(values: readonly (number | null)[]): Buffer {
  return fixedArray({ oid: OID.timestamptz, bytes: 8, values, write: writeTimestamp });
}

interface FixedArray<Value> {
  readonly oid: number;
  readonly bytes: number;
  readonly values: readonly (Value | null)[];
  write(buffer: Buffer, value: Value, at: number): void;
}

/** Element types of one size: one allocation of the exact length. */
function fixedArray<Value>({ oid, bytes, values, write }: FixedArray<Value>): Buffer {
  if (values.length === 0) return emptyArray(oid);
  let nulls = 0;
  for (const value of values) if (value === null) nulls += 1;
  const buffer = Buffer.allocUnsafe(
    HEADER_BYTES + values.length * LENGTH_BYTES + (values.length - nulls) * bytes,
  );
  let at = writeHeader(buffer, oid, values.length, nulls > 0);
  for (const value of values) {
    if (value === null) {
      at = buffer.writeInt32BE(NULL_LENGTH, at);
      continue;
    }
    at = buffer.writeInt32BE(bytes, at);
    write(buffer, value, at);
    at += bytes;
  }
  return buffer;
}

/** Strings, each after `prefixBytes` bytes that hold the version of jsonb. */
function stringArray(oid: number, values: readonly (string | null)[], prefixBytes: 0 | 1): Buffer {
  if (values.length === 0) return emptyArray(oid);
  let nulls = 0;
  let bytes = HEADER_BYTES + values.length * LENGTH_BYTES;
  for (const value of values) {
    if (value === null) nulls += 1;
    else bytes += Buffer.byteLength(value) + prefixBytes;
  }
  const buffer = Buffer.allocUnsafe(bytes);
  let at = writeHeader(buffer, oid, values.length, nulls > 0);
  for (const value of values) {
    if (value === null) {
      at = buffer.writeInt32BE(NULL_LENGTH, at);
      continue;
    }
    const start = at + LENGTH_BYTES;
    if (prefixBytes === 1) buffer[start] = JSONB_VERSION;
    const length = prefixBytes + buffer.write(value, start + prefixBytes);
    buffer.writeInt32BE(length, at);
    at = start + length;
  }
  return buffer;
}

function writeHeader(buffer: Buffer, oid: number, count: number, hasNulls: boolean): number {
  buffer.writeInt32BE(1, 0);
  buffer.writeInt32BE(hasNulls ? 1 : 0, 4);
  buffer.writeInt32BE(oid, 8);
  buffer.writeInt32BE(count, 12);
  return buffer.writeInt32BE(1, 16);
}

function emptyArray(oid: number): Buffer {
  const buffer = Buffer.alloc(EMPTY_BYTES);
  buffer.writeInt32BE(oid, 8);
  return buffer;
}

function writeUuid(buffer: Buffer, value: string, start: number): void {
  let at = start;
  let invalid = value.length !== UUID_TEXT_LENGTH;
  for (let index = 0; index < UUID_TEXT_LENGTH && !invalid; index += 2) {
    if (index === 8 || index === 13 || index === 18 || index === 23) {
      invalid = value.charCodeAt(index) !== 45;
      index += 1;
    }
    const high = HEX_VALUES[value.charCodeAt(index) & 0xff_ff] ?? NOT_HEX;
    const low = HEX_VALUES[value.charCodeAt(index + 1) & 0xff_ff] ?? NOT_HEX;
    invalid ||= high === NOT_HEX || low === NOT_HEX;
    buffer[at] = (high << 4) | low;
    at += 1;
  }
  if (invalid) throw new RangeError(`${JSON.stringify(value)} is not a uuid of 36 characters`);
}

function writeInt8(buffer: Buffer, value: bigint | number, at: number): void {
  if (typeof value === "bigint") {
    buffer.writeBigInt64BE(value, at);
    return;
  }
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not a safe integer; give a bigint`);
  writeSafeInteger(buffer, value, at);
}

/** Twice as fast as to go through a bigint. */
function writeSafeInteger(buffer: Buffer, value: number, at: number): void {
  const high = Math.floor(value / TWO_POW_32);
  buffer.writeInt32BE(high, at);
  buffer.writeUInt32BE(value - high * TWO_POW_32, at + 4);
}

function writeTimestamp(buffer: Buffer, ms: number, at: number): void {
  const microseconds = Math.round((ms - POSTGRES_EPOCH_MS) * 1000);
  if (Number.isSafeInteger(microseconds)) writeSafeInteger(buffer, microseconds, at);
  else if (ms === Number.POSITIVE_INFINITY) buffer.writeBigInt64BE(INT8_MAX, at);
  else if (ms === Number.NEGATIVE_INFINITY) buffer.writeBigInt64BE(INT8_MIN, at);
  else throw new RangeError(`${ms} is not a time in milliseconds within 285 years of 2000`);
}

function integer(value: number): number {
  if (!Number.isInteger(value)) throw new RangeError(`${value} is not an integer`);
  return value;
}

function makeHexValues(): Uint8Array {
  const table = new Uint8Array(0x1_00_00).fill(NOT_HEX);
  for (let digit = 0; digit < 16; digit += 1) {
    const text = digit.toString(16);
    table[text.charCodeAt(0)] = digit;
    table[text.toUpperCase().charCodeAt(0)] = digit;
  }
  return table;
}
