/**
 * Clocks that stand still inside a run: they show the time of the run's last event, live and on replay alike.
 *
 * Promises that a guarded `Date` is the `Date` of every object there is: `instanceof`, subclasses, `constructor` and
 * `util.types.isDate` hold. Does not cover `Intl.DateTimeFormat#format()` without a date, `performance.mark()`,
 * `process.uptime()`, and references to clocks that were taken before the guards were installed.
 */
import { currentRun } from "./guard-hooks.ts";
import { adoptShape, replaceFunction } from "./function-replacement.ts";

const NANOSECONDS_PER_MS = 1_000_000;
const MS_PER_SECOND = 1_000;

/** Guards `Date`, `performance.now`, `process.hrtime` and, where there is one, `Temporal.Now`. */
export function guardClocks(): void {
  guardDate();
  guardPerformance();
  guardHighResolutionTime();
  guardTemporal();
}

function guardDate(): void {
  const NativeDate = Date;
  // On the native constructor too, so that a `Date` taken before the guards tells the run's time by `now` at least.
  replaceFunction(NativeDate, "now", (original) => {
    return function now(): unknown {
      const run = currentRun();
      return run === undefined ? Reflect.apply(original, NativeDate, []) : Math.trunc(run.nowMs());
    };
  });
  function GuardedDate(this: unknown, ...values: unknown[]): unknown {
    const run = values.length === 0 || new.target === undefined ? currentRun() : undefined;
    if (new.target === undefined) {
      return run === undefined ? NativeDate() : new NativeDate(Math.trunc(run.nowMs())).toString();
    }
    const target: unknown = new.target;
    const fields = run === undefined ? values : [Math.trunc(run.nowMs())];
    return Reflect.construct(NativeDate, fields, target === GuardedDate ? NativeDate : new.target);
  }
  adoptShape(GuardedDate, NativeDate);
  Object.defineProperty(NativeDate.prototype, "constructor", {
    value: GuardedDate,
    writable: true,
    configurable: true,
  });
  Object.defineProperty(globalThis, "Date", { value: GuardedDate, writable: true, configurable: true });
}

/** Milliseconds since the epoch, for want of an origin that every replay shares; only differences mean something. */
function guardPerformance(): void {
  replaceFunction(Object.getPrototypeOf(performance) as object, "now", (original) => {
    return function now(this: unknown): unknown {
      const run = currentRun();
      return run === undefined ? Reflect.apply(original, this, []) : run.nowMs();
    };
  });
}

function guardHighResolutionTime(): void {
  replaceFunction(process.hrtime, "bigint", (original) => {
    return function bigint(this: unknown): unknown {
      const run = currentRun();
      return run === undefined ? Reflect.apply(original, this, []) : nanoseconds(run.nowMs());
    };
  });
  replaceFunction(process, "hrtime", (original) => {
    return function hrtime(this: unknown, ...values: unknown[]): unknown {
      const run = currentRun();
      const real = Reflect.apply(original, this, values);
      return run === undefined ? real : secondsAndNanoseconds(run.nowMs(), values[0]);
    };
  });
}

function nanoseconds(nowMs: number): bigint {
  return BigInt(Math.trunc(nowMs * MS_PER_SECOND)) * BigInt(NANOSECONDS_PER_MS / MS_PER_SECOND);
}

function secondsAndNanoseconds(nowMs: number, earlier: unknown): [number, number] {
  const [seconds, rest] = Array.isArray(earlier) ? (earlier as [number, number]) : [0, 0];
  const elapsed = nanoseconds(nowMs) - BigInt(seconds) * 1_000_000_000n - BigInt(rest);
  return [Number(elapsed / 1_000_000_000n), Number(elapsed % 1_000_000_000n)];
}

/** The part of the Temporal proposal that is used here; Node has it from version 26 on. */
interface TemporalGlobal {
  readonly Instant: { fromEpochMilliseconds(epochMs: number): TemporalInstant };
  readonly Now: object;
}

interface TemporalInstant {
  toZonedDateTimeISO(timeZone: unknown): TemporalZonedDateTime;
}

interface TemporalZonedDateTime {
  toPlainDateTime(): unknown;
  toPlainDate(): unknown;
  toPlainTime(): unknown;
}

/** A process has one time zone for all its life, which a fleet has to share. */
function localTimeZone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}

function guardTemporal(): void {
  const { Temporal: temporal } = globalThis as { Temporal?: TemporalGlobal };
  if (temporal === undefined) return;
  const views: Record<string, (zoned: TemporalZonedDateTime) => unknown> = {
    zonedDateTimeISO: (zoned) => zoned,
    plainDateTimeISO: (zoned) => zoned.toPlainDateTime(),
    plainDateISO: (zoned) => zoned.toPlainDate(),
    plainTimeISO: (zoned) => zoned.toPlainTime(),
  };
  const instant = (nowMs: number): TemporalInstant =>
    temporal.Instant.fromEpochMilliseconds(Math.trunc(nowMs));
  replaceFunction(temporal.Now, "instant", (original) => {
    return function instantNow(this: unknown): unknown {
      const run = currentRun();
      return run === undefined ? Reflect.apply(original, this, []) : instant(run.nowMs());
    };
  });
  for (const [name, view] of Object.entries(views)) {
    replaceFunction(temporal.Now, name, (original) => {
      return function viewOfNow(this: unknown, ...values: unknown[]): unknown {
        const run = currentRun();
        if (run === undefined) return Reflect.apply(original, this, values);
        return view(instant(run.nowMs()).toZonedDateTimeISO(values[0] ?? localTimeZone()));
      };
    });
  }
}
