/** What an operation of the API is: one row of the table that routes, document and rights are made from. */
import type { z } from "zod";
import type { AccessResource } from "../auth/index.ts";
import type { ProblemCode } from "./problems.ts";

/** Which object the right is asked for. */
export type AccessObject =
  /** The Workflow that a start names. */
  | "workflow-started"
  /** The Workflow of the run that is read or written, as the database has it. */
  | "workflow-of-run"
  /** The Workflows that a list is narrowed to; all when it is not. */
  | "workflows-listed"
  /** The object that the path names. */
  | "named"
  /** All objects that are shown: those that may not be seen are left out. */
  | "each";

/** The right that an operation needs. */
export interface OperationAccess {
  readonly resource: AccessResource;
  readonly verb: string;
  readonly object: AccessObject;
}

/** A header of an answer. */
export interface AnswerHeader {
  readonly description: string;
}

/** One answer that is no problem. */
export interface OperationAnswer {
  readonly description: string;
  /** Left out for an empty body. */
  readonly schema?: z.ZodType;
  readonly headers?: Readonly<Record<string, AnswerHeader>>;
  /** Forms besides JSON, with their descriptions. */
  readonly streams?: Readonly<Record<string, string>>;
}

/** @see OperationAccess */
export interface Operation {
  readonly operationId: string;
  readonly method: "get" | "post";
  readonly path: `/${string}`;
  readonly tag: "runs" | "queues" | "workflows" | "schedules" | "caller";
  readonly summary: string;
  readonly description?: string;
  readonly params: z.ZodObject;
  readonly query: z.ZodObject;
  readonly body?: z.ZodType;
  /** The body may be left out: `{}` stands for it. */
  readonly bodyOptional?: true;
  /** Request headers that it reads, with their descriptions. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly answers: Readonly<Partial<Record<200 | 201 | 202 | 304, OperationAnswer>>>;
  /** Besides those that every operation may answer with. */
  readonly problems: readonly ProblemCode[];
  /** Left out: who is known may. */
  readonly access?: OperationAccess;
}

/** Problems that any operation may answer with. */
export const COMMON_PROBLEMS: readonly ProblemCode[] = [
  "Invalid",
  "Unauthenticated",
  "Forbidden",
  "NotAcceptable",
  "TooManyRequests",
  "Internal",
  "Unavailable",
];

/** Those of every operation with a body. */
export const BODY_PROBLEMS: readonly ProblemCode[] = [
  "NotJson",
  "TooDeep",
  "TooLarge",
  "UnsupportedMediaType",
];
