/**
 * Every problem that the API answers with: its code, its status, and what it means.
 *
 * The answer is RFC 9457's `application/problem+json`; `code` is stable, texts are not.
 */
import { z } from "zod";

/** Problems by code. */
export const PROBLEMS = {
  Invalid: { status: 400, title: "The request is not valid", meaning: "`errors` names each field." },
  NotJson: { status: 400, title: "The body is not JSON", meaning: "It can't be parsed." },
  TooDeep: {
    status: 400,
    title: "The body is nested too deeply",
    meaning: "Arrays and objects nest by at most 100 levels.",
  },
  BadPageToken: {
    status: 400,
    title: "The page token does not fit",
    meaning: "It is none of this list with these filters.",
  },
  Unauthenticated: {
    status: 401,
    title: "Who asks is not known",
    meaning: "Bring a token, certificate or key.",
  },
  Forbidden: {
    status: 403,
    title: "Not allowed",
    meaning: "The detail names verb, resource, object, namespace and user.",
  },
  NotFound: { status: 404, title: "There is no such path", meaning: "See /openapi.json." },
  RunNotFound: { status: 404, title: "The run was not found", meaning: "Its retention may be over." },
  StoreNotFound: { status: 404, title: "The Store was not found", meaning: "Check namespace and ?store=." },
  WorkflowNotFound: { status: 404, title: "The Workflow was not found", meaning: "No manifest has it." },
  QueueNotFound: {
    status: 404,
    title: "The queue was not found",
    meaning: "No manifest, worker or run has it.",
  },
  ScheduleNotFound: {
    status: 404,
    title: "The Schedule was not found",
    meaning: "The Store has none of the name.",
  },
  MethodNotAllowed: {
    status: 405,
    title: "The path has no such method",
    meaning: "The header Allow lists them.",
  },
  NotAcceptable: {
    status: 406,
    title: "No such form of the answer",
    meaning: "The header Accept excludes all.",
  },
  StoreAmbiguous: { status: 409, title: "There are several Stores", meaning: "Name one with ?store=." },
  WorkflowAlreadyOpen: {
    status: 409,
    title: "A run of this workflow id is open",
    meaning: "`runId` is the open run.",
  },
  WorkflowSuspended: { status: 409, title: "The Workflow is suspended", meaning: "It takes no new starts." },
  RunClosed: { status: 409, title: "The run has ended", meaning: "`status` in `runStatus` says how." },
  ScheduleChanged: {
    status: 409,
    title: "The Schedule can't do this now",
    meaning: "Its manifest says otherwise; the detail says what.",
  },
  TooLarge: { status: 413, title: "The body is too large", meaning: "The detail names the limit." },
  UnsupportedMediaType: {
    status: 415,
    title: "The body is not application/json",
    meaning: "Send JSON in UTF-8.",
  },
  IdempotencyKeyReused: {
    status: 422,
    title: "The idempotency key was used for another request",
    meaning: "Use a new key for a new request.",
  },
  TooExpensive: {
    status: 422,
    title: "The list takes too long",
    meaning: "Narrow it by time, status or workflow.",
  },
  TooManyRequests: { status: 429, title: "Too many requests", meaning: "Wait as Retry-After says." },
  Internal: { status: 500, title: "The gateway failed", meaning: "Its log has the request id." },
  Unavailable: {
    status: 503,
    title: "Not available now",
    meaning: "A Store, or who is asked for rights, does not answer; wait as Retry-After says.",
  },
} as const satisfies Readonly<
  Record<string, { readonly status: number; readonly title: string; readonly meaning: string }>
>;

/** Stable code of a problem. */
export type ProblemCode = keyof typeof PROBLEMS;

/** Before each problem's code, its type. */
export const PROBLEM_TYPE_PREFIX = "https://memflow.io/problems/";

/** The body of a problem. */
export const problemSchema = z
  .object({
    type: z.string().describe("A URI that names the kind of problem; it ends with the code."),
    title: z.string(),
    status: z.int(),
    detail: z.string().describe("What happened to this request."),
    instance: z
      .string()
      .describe("The request's id, as the gateway's log and the header x-request-id have it."),
    code: z.string().describe("Stable code of the kind."),
    errors: z
      .array(
        z.object({
          path: z.string().describe("Place of the fault: body.input.question, query.pageSize, path.runId."),
          message: z.string(),
        }),
      )
      .optional(),
    remedy: z.string().optional().describe("What to do."),
    runId: z.string().optional().describe("The run that is in the way."),
    runStatus: z.string().optional().describe("How that run ended."),
    stores: z.array(z.string()).optional().describe("The Stores to choose from."),
  })
  .meta({ id: "Problem" });

/** @see problemSchema */
export type ProblemBody = z.output<typeof problemSchema>;
