/**
 * One load as a picture: the replicas that each rule asks for over the work that is offered, as SVG.
 */
import { RULES, SLOTS, SIMULATED_POLICY } from "./autoscalers.ts";
import type { Outcome } from "./simulate.ts";
import type { Trace } from "./traces.ts";

const WIDTH = 840;
const HEIGHT = 260;
const LEFT = 44;
const RIGHT = 12;
const TOP = 52;
const BOTTOM = 30;
const MINUTE_MS = 60_000;
/** The offered work is drawn as its most within each of these. */
const BIN_MS = 10_000;

/** One colour a rule, told apart by people who see no red or green. */
const COLOURS: Readonly<Record<string, string>> = {
  memflow: "#0b6bcb",
  "keda-ready": "#d9480f",
  "keda-all": "#8a6d00",
  hpa: "#7a3e9d",
};

/**
 * Draws it.
 *
 * @param outcomes - By the name of the rule.
 */
export function drawTrace(trace: Trace, outcomes: ReadonlyMap<string, Outcome>): string {
  const x = (atMs: number): number => round(LEFT + (atMs / trace.durationMs) * (WIDTH - LEFT - RIGHT));
  const y = (replicas: number): number =>
    round(HEIGHT - BOTTOM - (replicas / SIMULATED_POLICY.maxReplicas) * (HEIGHT - TOP - BOTTOM));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<title>${trace.title}: replicas over time, by rule</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    `<text x="${LEFT}" y="16" font-weight="bold" fill="#1f2328">${trace.title}</text>`,
    ...legend(),
    ...trace.outages.map(
      ({ fromMs, toMs }) =>
        `<rect x="${x(fromMs)}" y="${TOP}" width="${round(x(toMs) - x(fromMs))}" height="${HEIGHT - TOP - BOTTOM}" fill="#fbe3e4"/>`,
    ),
    ...axes(trace, x, y),
    offered(trace, x, y),
    ...RULES.toReversed().map(({ name }) => line(outcomes.get(name), name, trace, { x, y })),
    "</svg>",
    "",
  ].join("\n");
}

interface Scales {
  x(atMs: number): number;
  y(replicas: number): number;
}

function legend(): string[] {
  const entries = [
    ...RULES.map(({ name, title }) => ({ colour: COLOURS[name] ?? "#000000", title })),
    { colour: "#d0d7de", title: "work offered" },
  ];
  return entries.flatMap(({ colour, title }, index) => {
    const left = LEFT + index * 158;
    return [
      `<rect x="${left}" y="27" width="16" height="6" fill="${colour}"/>`,
      `<text x="${left + 22}" y="34" fill="#1f2328">${title}</text>`,
    ];
  });
}

function axes(trace: Trace, x: Scales["x"], y: Scales["y"]): string[] {
  const lines: string[] = [];
  for (let replicas = 0; replicas <= SIMULATED_POLICY.maxReplicas; replicas += 5) {
    lines.push(
      `<path d="M${LEFT} ${y(replicas)}H${WIDTH - RIGHT}" stroke="#eaeef2"/>`,
      `<text x="${LEFT - 6}" y="${y(replicas) + 4}" text-anchor="end" fill="#57606a">${replicas}</text>`,
    );
  }
  for (let atMs = 0; atMs <= trace.durationMs; atMs += 10 * MINUTE_MS) {
    lines.push(
      `<text x="${x(atMs)}" y="${HEIGHT - 10}" text-anchor="middle" fill="#57606a">${atMs / MINUTE_MS} min</text>`,
    );
  }
  return lines;
}

/** The replicas that would hold all tasks if each began at once, cut off at the most that there may be. */
function offered(trace: Trace, x: Scales["x"], y: Scales["y"]): string {
  const bins = Array.from({ length: Math.ceil(trace.durationMs / BIN_MS) }, () => 0);
  const changes = trace.arrivals.flatMap(({ atMs, serviceMs }) => [
    { atMs, change: 1 },
    { atMs: atMs + serviceMs, change: -1 },
  ]);
  let tasks = 0;
  let bin = 0;
  for (const { atMs, change } of changes.toSorted((left, right) => left.atMs - right.atMs)) {
    for (; bin < Math.floor(atMs / BIN_MS); bin += 1) {
      if (bin + 1 < bins.length) bins[bin + 1] = tasks;
    }
    tasks += change;
    if (bin < bins.length) bins[bin] = Math.max(bins[bin] ?? 0, tasks);
  }
  const steps = bins.map((most, index) => {
    const replicas = Math.min(most / SLOTS, SIMULATED_POLICY.maxReplicas);
    return `V${y(replicas)}H${x((index + 1) * BIN_MS)}`;
  });
  return `<path d="M${x(0)} ${y(0)}${steps.join("")}V${y(0)}Z" fill="#d0d7de"/>`;
}

function line(outcome: Outcome | undefined, name: string, trace: Trace, { x, y }: Scales): string {
  const steps = (outcome?.desired ?? []).map(({ atMs, replicas }) => `H${x(atMs)}V${y(replicas)}`);
  return `<path d="M${x(0)} ${y(0)}${steps.join("")}H${x(trace.durationMs)}" fill="none" stroke="${COLOURS[name] ?? "#000000"}" stroke-width="${name === "memflow" ? 2.5 : 1.3}"/>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
