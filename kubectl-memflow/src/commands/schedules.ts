/** `schedules`, and what is done to them. */
import type { Schedule } from "@memflow/gateway/client";
import type { CommandSession } from "../cli/command-session.ts";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";
import { ageOf, humanDuration } from "../print/age.ts";
import type { Column, View } from "../print/printer.ts";
import { everyStore } from "./every-store.ts";

/** The command line. */
export interface SchedulesOptions {
  readonly name?: string | undefined;
  readonly allNamespaces?: boolean;
}

/** That of `backfill`. */
export interface BackfillOptions {
  readonly schedule: string;
  readonly from: string;
  readonly to: string;
  readonly name?: string;
  readonly overlap: string;
}

interface PlacedSchedule extends Schedule {
  readonly namespace?: string;
}

const OVERLAPS = ["Skip", "BufferOne", "BufferAll", "CancelOther", "TerminateOther", "AllowAll"] as const;

const COLUMNS: readonly Column<PlacedSchedule>[] = [
  { heading: "NAME", cell: ({ name }) => name },
  { heading: "WHEN", cell: whenOf },
  { heading: "WORKFLOW", cell: ({ workflow }) => workflow },
  {
    heading: "PAUSED",
    cell: ({ paused, pausedBy }) => (paused ? `True (${pausedBy ?? "manifest"})` : "False"),
  },
  { heading: "RUNNING", cell: ({ running }) => String(running) },
  { heading: "LAST FIRE", cell: ({ lastFireTime }, nowMs) => ageOf(lastFireTime, nowMs) },
  { heading: "NEXT FIRE", cell: ({ nextFireTimes }) => nextFireTimes[0] ?? "<none>" },
  { heading: "FIRED", isWide: true, cell: ({ fired }) => String(fired) },
  { heading: "MISSED", isWide: true, cell: ({ missed }) => String(missed) },
  { heading: "SKIPPED", isWide: true, cell: ({ skipped }) => String(skipped) },
  { heading: "FAULT", isWide: true, cell: ({ fault }) => fault ?? "<none>" },
];

const SCHEDULE_VIEW: View<PlacedSchedule> = { kind: "schedule", name: ({ name }) => name, columns: COLUMNS };
const PLACED_SCHEDULE_VIEW: View<PlacedSchedule> = {
  ...SCHEDULE_VIEW,
  columns: [{ heading: "NAMESPACE", cell: ({ namespace }) => namespace ?? "" }, ...COLUMNS],
};

/** Shows Schedules. */
export async function schedules(session: CommandSession, options: SchedulesOptions): Promise<number> {
  const { client, namespace, store } = await session.connect();
  if (options.name !== undefined) {
    const path = { namespace, schedule: options.name };
    const { body } = await client.call("getSchedule", { path, query: { store } });
    await session.printer.one(SCHEDULE_VIEW, body);
    return EXIT_CODES.done;
  }
  const isAll = options.allNamespaces === true;
  const places = isAll ? await everyStore(session) : [{ namespace, store }];
  const found: PlacedSchedule[] = [];
  for (const place of places) {
    const answer = await client.call("listSchedules", {
      path: { namespace: place.namespace },
      query: { store: place.store },
    });
    found.push(...answer.body.schedules.map((one) => (isAll ? { namespace: place.namespace, ...one } : one)));
  }
  await session.printer.list(isAll ? PLACED_SCHEDULE_VIEW : SCHEDULE_VIEW, found);
  if (found.length === 0) session.say("no schedules found");
  return EXIT_CODES.done;
}

export async function trigger(
  session: CommandSession,
  options: { readonly name: string; readonly trigger?: string },
): Promise<number> {
  const { client, namespace, store } = await session.connect();
  const { body } = await client.call("triggerSchedule", {
    path: { namespace, schedule: options.name },
    query: { store },
    body: { trigger: options.trigger },
  });
  return done(session, body, "triggered");
}

export async function pause(session: CommandSession, name: string): Promise<number> {
  const { client, namespace, store } = await session.connect();
  const place = { path: { namespace, schedule: name }, query: { store } };
  return done(session, (await client.call("pauseSchedule", place)).body, "paused");
}

export async function resume(session: CommandSession, name: string): Promise<number> {
  const { client, namespace, store } = await session.connect();
  const place = { path: { namespace, schedule: name }, query: { store } };
  return done(session, (await client.call("resumeSchedule", place)).body, "resumed");
}

export async function backfill(session: CommandSession, options: BackfillOptions): Promise<number> {
  const overlap = OVERLAPS.find((one) => one === options.overlap);
  if (overlap === undefined) {
    throw new CommandError(
      EXIT_CODES.usage,
      `--overlap "${options.overlap}": it takes ${OVERLAPS.join(", ")}`,
    );
  }
  const { client, namespace, store } = await session.connect();
  const startAt = readTime(options.from, "--from");
  const endAt = readTime(options.to, "--to");
  const { body } = await client.call("backfillSchedule", {
    path: { namespace, schedule: options.schedule },
    query: { store },
    // The same span has the same name: asking twice does it once.
    body: { name: options.name ?? `${slug(startAt)}-${slug(endAt)}`, startAt, endAt, overlap },
  });
  return done(session, body, "backfilled");
}

async function done({ printer }: CommandSession, schedule: Schedule, did: string): Promise<number> {
  if (printer.form.kind === "table" || printer.form.kind === "wide")
    printer.line(`schedule/${schedule.name} ${did}`);
  else if (printer.form.kind === "name") printer.line(`schedule/${schedule.name}`);
  else await printer.value(schedule);
  return EXIT_CODES.done;
}

function readTime(text: string, option: string): string {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) {
    throw new CommandError(
      EXIT_CODES.usage,
      `${option} "${text}" is no time: write it as 2026-01-31T00:00:00Z`,
    );
  }
  return new Date(ms).toISOString();
}

function slug(time: string): string {
  return time.slice(0, 19).replaceAll(/[^0-9]/gu, "");
}

function whenOf({ when }: Schedule): string {
  const { cron, everyMs, timeZone } = when;
  const zone = typeof timeZone === "string" && timeZone !== "UTC" ? ` ${timeZone}` : "";
  if (typeof everyMs === "number") return `every ${humanDuration(everyMs)}`;
  if (Array.isArray(cron)) return `${cron.join("; ")}${zone}`;
  return typeof cron === "string" ? `${cron}${zone}` : "<none>";
}
