/** The error tree: stable codes and names, data as fields, messages that name the thing, the value and the remedy. */
import { expect, test } from "vitest";
import * as errors from "./errors.ts";

const run = { workflowId: "order-7", runId: "0190" };

/** One of each class with the code, the name and the fields that others rely on. */
const samples: readonly (readonly [errors.MemFlowError, string | number, string, object])[] = [
  [
    new errors.MemFlowError("m", { code: "SYNC_DRAIN_UNAVAILABLE" }),
    "SYNC_DRAIN_UNAVAILABLE",
    "MemFlowError",
    {},
  ],
  [new errors.FatalError("m"), 598, "MemFlowFatalError", {}],
  [new errors.MaxedError("m"), 597, "MemFlowMaxedError", {}],
  [new errors.TimeoutError("m"), 596, "MemFlowTimeoutError", {}],
  [new errors.RetryError("m"), 599, "MemFlowRetryError", {}],
  [
    new errors.AttemptLostError({ activityName: "pay", attempt: 1 }),
    "ATTEMPT_LOST",
    "AttemptLostError",
    { activityName: "pay", attempt: 1 },
  ],
  [new errors.ThrownValueError("m", 5), "THROWN_VALUE", "ThrownValueError", { value: 5 }],
  [new errors.Interruption("m"), "INTERRUPTION", "Interruption", {}],
  [new errors.InterruptedError(run), 410, "InterruptedError", { job_id: "order-7" }],
  [new errors.InterruptedError({ ...run, code: 499 }), 499, "InterruptedError", { job_id: "order-7" }],
  [new errors.TerminatedError(run), "TERMINATED", "TerminatedError", { workflowId: "order-7" }],
  [new errors.CanceledError(run), "CANCELED", "CanceledError", { workflowId: "order-7" }],
  [
    new errors.WorkflowExecutionAlreadyStartedError("m", { workflowId: "order-7", workflowType: "order" }),
    "WORKFLOW_EXECUTION_ALREADY_STARTED",
    "WorkflowExecutionAlreadyStartedError",
    { workflowId: "order-7", workflowType: "order" },
  ],
  [
    new errors.DuplicateJobError("order-7", "order"),
    "DUPLICATE_JOB",
    "DuplicateJobError",
    { jobId: "order-7", workflowId: "order-7", workflowType: "order" },
  ],
  [
    new errors.IdempotencyKeyReusedError("k-1"),
    "IDEMPOTENCY_KEY_REUSED",
    "IdempotencyKeyReusedError",
    { key: "k-1" },
  ],
  [new errors.WorkflowNotFoundError(run), "WORKFLOW_NOT_FOUND", "WorkflowNotFoundError", run],
  [new errors.GetStateError(run), 404, "GetStateError", { ...run, jobId: run.workflowId }],
  [
    new errors.RunClosedError({ ...run, status: "completed" }),
    "RUN_CLOSED",
    "RunClosedError",
    { ...run, status: "completed" },
  ],
  [
    new errors.StuckError({ ...run, takeoverCount: 10 }),
    "RUN_STUCK",
    "StuckError",
    { ...run, takeoverCount: 10 },
  ],
  [new errors.LeaderFollowedError({ token: 7 }), "LEADER_FOLLOWED", "LeaderFollowedError", { token: 7 }],
  [
    new errors.PayloadError("PAYLOAD_TOO_DEEP", {
      field: "args",
      path: "args[0]",
      problem: "is deep",
      remedy: "make it flatter",
      limit: 100,
    }),
    "PAYLOAD_TOO_DEEP",
    "PayloadError",
    { field: "args", path: "args[0]", limit: 100 },
  ],
  [
    new errors.DurationError({ field: "sleepFor", value: "soon" }),
    "BAD_DURATION",
    "DurationError",
    { field: "sleepFor", value: "soon" },
  ],
  [
    new errors.EntityError("ENTITY_BAD_PATH", { path: "a..b", problem: "is bad", remedy: "repair it" }),
    "ENTITY_BAD_PATH",
    "EntityError",
    { path: "a..b" },
  ],
  [
    new errors.OptionError({ field: "taskQueue", value: 7, remedy: "give a name" }),
    "BAD_OPTION",
    "OptionError",
    { field: "taskQueue", value: 7, remedy: "give a name" },
  ],
  [
    new errors.CrossStoreError({ field: "namespace", store: "a", otherStore: "b" }),
    "CROSS_STORE",
    "CrossStoreError",
    { field: "namespace", store: "a", otherStore: "b" },
  ],
  [
    new errors.ActivityNotFoundError({ activityName: "pay", taskQueue: "q", known: ["ship"] }),
    "ACTIVITY_NOT_FOUND",
    "ActivityNotFoundError",
    { activityName: "pay", taskQueue: "q", known: ["ship"] },
  ],
  [new errors.RequestRefusedError("is paused"), "REQUEST_REFUSED", "RequestRefusedError", {}],
  [
    new errors.WorkflowTypeNotFoundError({ workflowType: "order", taskQueue: "q", known: [] }),
    "WORKFLOW_TYPE_NOT_FOUND",
    "WorkflowTypeNotFoundError",
    { workflowType: "order", taskQueue: "q", known: [] },
  ],
  [
    new errors.DeterminismViolation({ call: "fetch", place: "order.ts:7:3" }),
    "DETERMINISM_VIOLATION",
    "DeterminismViolation",
    { call: "fetch", place: "order.ts:7:3" },
  ],
  [
    new errors.HistoryMismatchError({
      position: 3,
      expected: "timer",
      actual: "activity pay",
      place: "order.ts:7:3",
    }),
    "HISTORY_MISMATCH",
    "HistoryMismatchError",
    { position: 3, expected: "timer", actual: "activity pay", place: "order.ts:7:3" },
  ],
  [
    new errors.ProcessExitError({ call: "process.exit" }),
    "PROCESS_EXIT_REFUSED",
    "ProcessExitError",
    { call: "process.exit" },
  ],
  [
    new errors.ConnectionError("DATABASE_UNREACHABLE", { message: "m", target: "db:5432/app" }),
    "DATABASE_UNREACHABLE",
    "ConnectionError",
    { target: "db:5432/app" },
  ],
  [
    new errors.SchemaError("SCHEMA_TOO_NEW", {
      message: "m",
      schema: "memflow",
      foundVersion: 9,
      neededVersion: 3,
    }),
    "SCHEMA_TOO_NEW",
    "SchemaError",
    { schema: "memflow", foundVersion: 9, neededVersion: 3 },
  ],
  [
    new errors.SearchError("SEARCH_REFUSED", { message: "m", sqlState: "42501" }),
    "SEARCH_REFUSED",
    "SearchError",
    { sqlState: "42501" },
  ],
];

test("every exported error class has a sample in this file", () => {
  const classes = Object.values(errors).filter((member) => Object.hasOwn(member, "prototype"));
  const sampled = new Set<unknown>(samples.map(([error]) => error.constructor));
  expect(classes.filter((one) => one.prototype instanceof Error && !sampled.has(one))).toEqual([]);
});

test.each(samples)("%s has its code, name and fields", (error, code, name, fields) => {
  expect(error).toBeInstanceOf(errors.MemFlowError);
  expect(error).toMatchObject({ code, name, ...fields });
  expect(Object.keys(error)).not.toContain("name");
  expect(String(error)).toBe(`${name}: ${error.message}`);
});

test("a message names the thing, the value and the remedy", () => {
  const messages = samples.map(([error]) => error.message).filter((message) => message !== "m");
  expect(messages).toMatchInlineSnapshot(`
    [
      "attempt 1 of activity "pay" was lost with its worker and the retry policy allows no other; check whether the work was done, or allow more attempts",
      "Job Interrupted",
      "Job Interrupted",
      "workflow "order-7" was terminated",
      "workflow "order-7" was canceled",
      "Duplicate job: order-7",
      "idempotency key "k-1" was used for another request; use a new key for a new request",
      "workflow "order-7" with run "0190" not found; check the id and the namespace, or start it first",
      "Job order-7 not found; its retention is over: keep finished runs longer with "expire"",
      "run "0190" of workflow "order-7" is closed (completed) and takes no message; start the workflow again to reach a new run",
      "run "0190" of workflow "order-7" is stuck after 10 takeovers without progress; correct its code, then resume it",
      "leader 7 was followed by another one; stop writing",
      "payload "args[0]" is deep; make it flatter",
      "duration "sleepFor" is "soon"; give milliseconds as a number, or a string such as "5 seconds", from 0 to 100 years",
      "entity path "a..b" is bad; repair it",
      "option "taskQueue" is 7; give a name",
      ""namespace" names store "b" inside store "a"; reach another store through a client of its own, in an activity",
      "activity "pay" not found on task queue "q" (known: "ship"); register it with the worker, or name the task queue that has it",
      "the schedule is paused",
      "workflow "order" not found on task queue "q" (none is known); register it with the worker, or correct its name",
      "fetch is not deterministic inside a workflow at order.ts:7:3; do it in an activity",
      "history holds timer at position 3, the code asks for activity pay at order.ts:7:3; bring the code of this run back, or give the changed code a workflow name of its own",
      "process.exit is refused inside a workflow or activity, it would end every other run of this worker; throw a FatalError to end this one",
    ]
  `);
});

test("a cause is kept where there is one, also undefined, and absent where there is none", () => {
  const cause = new Error("socket hang up");
  const connection = new errors.ConnectionError("DATABASE_UNREACHABLE", { message: "m", cause });
  const schema = new errors.SchemaError("SCHEMA_MISSING", { message: "m", cause });
  const words = { field: "args", problem: "is bad", remedy: "repair it" };
  const payload = new errors.PayloadError("PAYLOAD_NOT_SERIALIZABLE", { ...words, cause: undefined });
  expect([connection.cause, schema.cause]).toEqual([cause, cause]);
  expect(Object.hasOwn(payload, "cause")).toBe(true);
  expect(Object.hasOwn(new errors.PayloadError("PAYLOAD_NOT_SERIALIZABLE", words), "cause")).toBe(false);
});

test("a stack that is handed over replaces the own one", () => {
  expect(new errors.FatalError("m", "Error: m\n    at there").stack).toBe("Error: m\n    at there");
  expect(new errors.FatalError("m").stack).toContain("errors.test.ts");
});

test("the reason of a stop is its message", () => {
  const stop = { workflowId: "order-7", reason: "by request" };
  const stopped = [errors.InterruptedError, errors.TerminatedError, errors.CanceledError];
  expect(stopped.map((Stopped) => new Stopped(stop).message)).toEqual([
    "by request",
    "by request",
    "by request",
  ]);
  expect(new errors.InterruptedError({ workflowId: "order-7" }).message).toBe("Job Interrupted");
  expect(new errors.StuckError({ ...run, takeoverCount: 1, reason: "heap" }).message).toContain(
    "progress: heap;",
  );
});

test("a run that is not found is named only where it was asked for", () => {
  expect(new errors.WorkflowNotFoundError(run).message).toContain(
    'workflow "order-7" with run "0190" not found',
  );
  const error = new errors.WorkflowNotFoundError({ workflowId: "order-7" });
  expect(error.message).toContain('workflow "order-7" not found');
  expect(error.runId).toBeUndefined();
});

test("a duplicate job is an already started workflow, with MemFlow's message", () => {
  const error = new errors.DuplicateJobError("order-7");
  expect(error).toBeInstanceOf(errors.WorkflowExecutionAlreadyStartedError);
  expect(error.message).toBe("Duplicate job: order-7");
  expect(error.workflowType).toBe("");
});

test("didInterrupt recognises the engine's control error and nothing else", () => {
  expect(errors.didInterrupt(new errors.Interruption("dropped"))).toBe(true);
  const others = samples.map(([error]) => error).filter((error) => !(error instanceof errors.Interruption));
  const anything = [
    ...others,
    undefined,
    null,
    "Interruption",
    { name: "Interruption", code: "INTERRUPTION" },
  ];
  expect(anything.filter((one) => errors.didInterrupt(one))).toEqual([]);
});

test("an unknown name is answered with the known ones, ten at most", () => {
  const known = Array.from({ length: 12 }, (_, index) => `a${index}`);
  const messageWith = (names: readonly string[]): string =>
    new errors.ActivityNotFoundError({ activityName: "pay", taskQueue: "q", known: names }).message;
  expect(messageWith(known)).toContain('known: "a0", "a1"');
  expect(messageWith(known)).toContain('"a9" and 2 more');
  expect(messageWith([])).toContain("none is known");
});

test("any value is described on one short line", () => {
  class Order {
    readonly id = 7;
  }
  const hostile = new Proxy(
    {},
    {
      get: () => {
        throw new Error("no");
      },
      ownKeys: () => {
        throw new Error("no");
      },
    },
  );
  const values = [
    "text",
    "x".repeat(1000),
    "two\nlines",
    7,
    -0,
    Number.NaN,
    7n,
    10n ** 1000n,
    true,
    null,
    undefined,
    Symbol("s"),
    () => 1,
    Order,
    [1, 2],
    {},
    { a: 1, b: 2, c: 3, d: 4, e: 5, f: 6 },
    new Map(),
    new Date(0),
    new Order(),
    hostile,
  ];
  expect(values.map(errors.describeValue)).toMatchInlineSnapshot(`
    [
      ""text"",
      ""xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…",
      ""two\\nlines"",
      "7",
      "0",
      "NaN",
      "7n",
      "a large BigInt",
      "true",
      "null",
      "undefined",
      "Symbol(s)",
      "a function",
      "function Order",
      "an array of 2",
      "an object",
      "an object with a, b, c, d, e",
      "a Map",
      "a Date",
      "an object with id",
      "an unreadable object",
    ]
  `);
});
