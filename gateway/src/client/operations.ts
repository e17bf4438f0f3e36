/** Made from openapi.json by `npm run generate`: the types of the API, and its routes. */

export interface BackfillRequest {
  /** A backfill is done once under its name. */
  readonly name: string;
  /** First time that is made up for. */
  readonly startAt: string;
  /** Last time that is made up for. */
  readonly endAt: string;
  readonly overlap?: "Skip" | "BufferOne" | "BufferAll" | "CancelOther" | "TerminateOther" | "AllowAll" | undefined;
}

export interface CancelRequest {
  readonly reason?: string | undefined;
}

export interface Family {
  readonly runs: readonly (Run)[];
}

export interface HistoryEvent {
  /** 1-based, without gaps. */
  readonly eventNo: number;
  /** ISO 8601 in UTC, in milliseconds. */
  readonly at: string;
  /** Milliseconds since 1970, with their fraction. */
  readonly atMs: number;
  readonly kind: string;
  /** The durable call that it answers; null for what came from outside. */
  readonly position: number | null;
  readonly name: string | null;
  readonly entityNo: number | null;
  readonly payload?: unknown;
}

export interface HistoryPage {
  readonly events: readonly (HistoryEvent)[];
  /** Ask with it for the events that follow; left out when there are no more by now. */
  readonly nextAfterEvent?: number | undefined;
}

export interface InterruptRequest {
  readonly reason?: string | undefined;
  /** Code of the failure (default 410). */
  readonly code?: number | undefined;
  /** Interrupt its children too; needs the right on all Workflows of the namespace. */
  readonly descend?: boolean | undefined;
  /** How long the ended run is kept. */
  readonly retention?: string | undefined;
  /** False: who waits for the result gets none, and no failure. */
  readonly throw?: boolean | undefined;
}

export interface Problem {
  /** A URI that names the kind of problem; it ends with the code. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** What happened to this request. */
  readonly detail: string;
  /** The request's id, as the gateway's log and the header x-request-id have it. */
  readonly instance: string;
  /** Stable code of the kind. */
  readonly code: string;
  readonly errors?: readonly ({
    /** Place of the fault: body.input.question, query.pageSize, path.runId. */
    readonly path: string;
    readonly message: string;
  })[] | undefined;
  /** What to do. */
  readonly remedy?: string | undefined;
  /** The run that is in the way. */
  readonly runId?: string | undefined;
  /** How that run ended. */
  readonly runStatus?: string | undefined;
  /** The Stores to choose from. */
  readonly stores?: readonly (string)[] | undefined;
}

export interface Queue {
  /** Name of the TaskQueue; left out where no manifest says one. */
  readonly name?: string | undefined;
  /** As workers call it. */
  readonly taskQueue: string;
  /** Tasks that workers could take now. */
  readonly ready: number;
  /** Tasks that workers hold. */
  readonly inFlight: number;
  /** Since when the oldest of them waits. */
  readonly oldestReadyAt: string | null;
  /** When the next run that sleeps is due. */
  readonly nextTimerAt: string | null;
  /** Living workers that serve it. */
  readonly workers: number;
  /** `status.scaling` of the TaskQueue: the last decision on its replicas. */
  readonly scaling?: { readonly [key: string]: unknown } | undefined;
}

export interface QueueList {
  readonly queues: readonly (Queue)[];
}

export interface Run {
  readonly runId: string;
  readonly workflowId: string;
  /** The type. */
  readonly workflow: string;
  readonly taskQueue: string;
  readonly status: "running" | "completed" | "failed" | "canceled" | "terminated" | "continued_as_new";
  /** It runs inside another run. */
  readonly hook: boolean;
  readonly parentRunId: string | null;
  readonly eventCount: number;
  /** ISO 8601 in UTC, in milliseconds. */
  readonly startedAt: string;
  readonly closedAt: string | null;
  readonly problem: {
    readonly name: string;
    readonly code: string;
    readonly message: string;
    readonly [key: string]: unknown;
  } | null;
}

export interface RunCount {
  readonly count: number;
}

export type RunExport = { readonly [key: string]: unknown };

export interface RunPage {
  readonly runs: readonly (Run)[];
  /** Ask with it for the page that follows; left out on the last one. */
  readonly nextPageToken?: string | undefined;
}

export interface RunPending {
  readonly runId: string;
  readonly workflowId: string;
  readonly status: "running";
}

export interface RunResult {
  readonly runId: string;
  readonly status: "running" | "completed" | "failed" | "canceled" | "terminated" | "continued_as_new";
  /** What it returned; left out for undefined. */
  readonly result?: unknown;
  /** Why it did not complete. */
  readonly failure?: {
    readonly name: string;
    readonly message: string;
    readonly code: string | number;
    readonly stack?: string | undefined;
    readonly [key: string]: unknown;
  } | undefined;
}

export interface RunState {
  readonly done: boolean;
  readonly response?: unknown;
  /** The error as its class shows it, with its own fields. */
  readonly $error?: {
    readonly name: string;
    readonly message: string;
    readonly code: string | number;
    readonly stack?: string | undefined;
    readonly [key: string]: unknown;
  } | undefined;
  readonly workflowId: string;
  /** ISO 8601 in UTC, in milliseconds. */
  readonly jc: string;
  /** ISO 8601 in UTC, in milliseconds. */
  readonly ju: string;
  readonly [key: string]: unknown;
}

export interface Schedule {
  readonly name: string;
  /** The type that it starts. */
  readonly workflow: string;
  readonly taskQueue: string;
  /** No time fires. */
  readonly paused: boolean;
  /** Why: spec.paused, a request to this API, or a run that did not complete. */
  readonly pausedBy?: "manifest" | "request" | "failure" | undefined;
  readonly overlap: string;
  /** Its times: cron, everyMs, offsetMs, timeZone, jitterMs, startAtMs, endAtMs. */
  readonly when: { readonly [key: string]: unknown };
  /** The next five. */
  readonly nextFireTimes: readonly (string)[];
  readonly lastFireTime: string | null;
  readonly fired: number;
  readonly missed: number;
  readonly skipped: number;
  /** Open runs of it. */
  readonly running: number;
  /** Those that are asked for and how far they are. */
  readonly backfills: readonly ({ readonly [key: string]: unknown })[];
  /** Why it could not be fired at the last look. */
  readonly fault: string | null;
}

export interface ScheduleList {
  readonly schedules: readonly (Schedule)[];
}

export interface SearchData {
  readonly search: { readonly [key: string]: string };
}

export interface SignalReceipt {
  readonly runId: string;
  readonly signal: string;
}

export interface SignalRequest {
  /** What the run's waitFor gives. */
  readonly data?: unknown;
}

export interface StartRequest {
  /** Name of a Workflow, or of the type that workers have. */
  readonly workflow: string;
  /** The first argument; in place of args. */
  readonly input?: unknown;
  /** All arguments (default: the Workflow's defaultArgs). */
  readonly args?: readonly (unknown)[] | undefined;
  /** Id of the business thing; one open run has it (default: a new one). */
  readonly workflowId?: string | undefined;
  /** Queue (default: the Workflow's). Another one needs a right on that TaskQueue. */
  readonly taskQueue?: string | undefined;
  /** Type of the run's entity, by which it is found. */
  readonly entity?: string | undefined;
  /** Search data that the run begins with. */
  readonly search?: { readonly [key: string]: string | number | boolean } | undefined;
  /** Wait before the first step. */
  readonly startDelay?: string | undefined;
  /** How long the ended run is kept (default: as its Workflow or Store says). */
  readonly retention?: string | undefined;
  /** Only workers of this build take it. */
  readonly buildId?: string | undefined;
  /** How the run is tried again when it fails (default: as its Workflow says). */
  readonly retry?: {
    readonly maximumAttempts?: number | undefined;
    readonly backoffCoefficient?: number | undefined;
    readonly initialInterval?: string | undefined;
    readonly maximumInterval?: string | undefined;
  } | undefined;
}

export interface StartedRun {
  readonly runId: string;
  readonly workflowId: string;
  /** The type. */
  readonly workflow: string;
  readonly taskQueue: string;
  readonly namespace: string;
  readonly store: string;
}

export interface StoppedRun {
  readonly runId: string;
  readonly status: "running" | "completed" | "failed" | "canceled" | "terminated" | "continued_as_new";
}

export interface TerminateRequest {
  readonly reason?: string | undefined;
}

export interface TriggerRequest {
  /** A value of yours: the same one again starts nothing (default: a new one). */
  readonly trigger?: string | undefined;
}

export interface Whoami {
  readonly user: string;
  readonly groups: readonly (string)[];
  readonly via: "token" | "certificate" | "key" | "loopback";
  readonly impersonatedBy?: string | undefined;
}

export interface Workflow {
  /** Name of the Workflow. */
  readonly name: string;
  /** The type, as workers call it. */
  readonly workflow: string;
  readonly taskQueue: string;
  /** It takes no new starts. */
  readonly suspended: boolean;
  /** JSON Schema of the first argument. */
  readonly inputSchema?: { readonly [key: string]: unknown } | undefined;
  /** JSON Schema of the result. */
  readonly outputSchema?: { readonly [key: string]: unknown } | undefined;
  readonly timeouts?: { readonly [key: string]: unknown } | undefined;
  readonly retry?: { readonly [key: string]: unknown } | undefined;
  readonly retention?: { readonly [key: string]: unknown } | undefined;
  readonly searchAttributes?: { readonly [key: string]: string } | undefined;
  readonly defaultArgs?: readonly (unknown)[] | undefined;
}

export interface WorkflowList {
  readonly workflows: readonly (Workflow)[];
}

/** What each operation takes and answers. */
export interface Operations {
  /** Starts a run. */
  readonly startRun: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly header?: {
      /** 1 to 255 printable characters. The same key with the same request gives the same answer, for as long as the answer's header Idempotency-Key-Expires says; with another request it is refused. */
      readonly "Idempotency-Key"?: string | undefined;
    };
    readonly body: StartRequest;
    readonly answer: { readonly status: 200; readonly body: StartedRun } | { readonly status: 201; readonly body: StartedRun };
  };
  /** Lists runs. */
  readonly listRuns: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
      /** Name of a Workflow, or of a type. */
      readonly workflow?: string | undefined;
      readonly status?: "running" | "completed" | "failed" | "canceled" | "terminated" | "continued_as_new" | undefined;
      readonly taskQueue?: string | undefined;
      /** Only ids that begin with it. */
      readonly workflowIdPrefix?: string | undefined;
      /** Started at this time or later. */
      readonly startedAfter?: string | undefined;
      /** Started before. */
      readonly startedBefore?: string | undefined;
      /** Ended at this time or later. */
      readonly closedAfter?: string | undefined;
      /** Ended before. */
      readonly closedBefore?: string | undefined;
      /** By closedAt: ended runs only. */
      readonly orderBy?: "startedAt desc" | "startedAt" | "closedAt desc" | "closedAt" | undefined;
      /** Items on the page. */
      readonly pageSize?: number | undefined;
      /** `nextPageToken` of the page before, with the same filters. */
      readonly pageToken?: string | undefined;
      readonly [name: `search.${string}`]: string | undefined;
    };
    readonly answer: { readonly status: 200; readonly body: RunPage };
  };
  /** Starts a run and waits for its result. */
  readonly executeRun: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
      /** How long to wait for the end of the run (default 0s; more than the gateway's limit, 60s, is the limit). */
      readonly wait?: string | undefined;
    };
    readonly header?: {
      /** 1 to 255 printable characters. The same key with the same request gives the same answer, for as long as the answer's header Idempotency-Key-Expires says; with another request it is refused. */
      readonly "Idempotency-Key"?: string | undefined;
    };
    readonly body: StartRequest;
    readonly answer: { readonly status: 200; readonly body: RunResult } | { readonly status: 202; readonly body: RunPending };
  };
  /** Counts runs. */
  readonly countRuns: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
      /** Name of a Workflow, or of a type. */
      readonly workflow?: string | undefined;
      readonly status?: "running" | "completed" | "failed" | "canceled" | "terminated" | "continued_as_new" | undefined;
      readonly taskQueue?: string | undefined;
      /** Only ids that begin with it. */
      readonly workflowIdPrefix?: string | undefined;
      /** Started at this time or later. */
      readonly startedAfter?: string | undefined;
      /** Started before. */
      readonly startedBefore?: string | undefined;
      /** Ended at this time or later. */
      readonly closedAfter?: string | undefined;
      /** Ended before. */
      readonly closedBefore?: string | undefined;
      readonly [name: `search.${string}`]: string | undefined;
    };
    readonly answer: { readonly status: 200; readonly body: RunCount };
  };
  /** Describes a run. */
  readonly getRun: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
      /** Id of the run. */
      readonly runId: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly answer: { readonly status: 200; readonly body: Run };
  };
  /** Describes the open run of a workflow id, else its latest. */
  readonly getRunByWorkflowId: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
      /** Name of the Workflow, or of the type, that the run must have. */
      readonly workflow: string;
      readonly workflowId: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly answer: { readonly status: 200; readonly body: Run };
  };
  /** Waits for the end of a run. */
  readonly getResult: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
      /** Id of the run. */
      readonly runId: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
      /** How long to wait for the end of the run (default 0s; more than the gateway's limit, 60s, is the limit). */
      readonly wait?: string | undefined;
    };
    readonly answer: { readonly status: 200; readonly body: RunResult } | { readonly status: 202; readonly body: RunPending };
  };
  /** Sends a signal to a run. */
  readonly signalRun: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
      /** Id of the run. */
      readonly runId: string;
      /** Id of the signal. */
      readonly signal: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly header?: {
      /** 1 to 255 printable characters. The same key with the same request gives the same answer, for as long as the answer's header Idempotency-Key-Expires says; with another request it is refused. */
      readonly "Idempotency-Key"?: string | undefined;
    };
    readonly body?: SignalRequest;
    readonly answer: { readonly status: 200; readonly body: SignalReceipt } | { readonly status: 201; readonly body: SignalReceipt };
  };
  /** Reads the state of a run. */
  readonly getState: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
      /** Id of the run. */
      readonly runId: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly answer: { readonly status: 200; readonly body: RunState };
  };
  /** Reads the entity of a run. */
  readonly getEntity: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
      /** Id of the run. */
      readonly runId: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly header?: {
      /** The ETag of what is known: 304 when nothing has changed. */
      readonly "If-None-Match"?: string | undefined;
    };
    readonly answer: { readonly status: 200; readonly body: unknown } | { readonly status: 304; readonly body: undefined };
  };
  /** Reads the search data of a run. */
  readonly getSearchData: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
      /** Id of the run. */
      readonly runId: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly answer: { readonly status: 200; readonly body: SearchData };
  };
  /** Cancels a run. */
  readonly cancelRun: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
      /** Id of the run. */
      readonly runId: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly body?: CancelRequest;
    readonly answer: { readonly status: 200; readonly body: StoppedRun };
  };
  /** Interrupts a run, with a code. */
  readonly interruptRun: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
      /** Id of the run. */
      readonly runId: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly body?: InterruptRequest;
    readonly answer: { readonly status: 200; readonly body: StoppedRun };
  };
  /** Ends a run at once. */
  readonly terminateRun: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
      /** Id of the run. */
      readonly runId: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly body?: TerminateRequest;
    readonly answer: { readonly status: 200; readonly body: StoppedRun };
  };
  /** Reads the history of a run, or follows it. */
  readonly getHistory: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
      /** Id of the run. */
      readonly runId: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
      /** Only events after this number; the header Last-Event-ID says the same for a stream. */
      readonly afterEvent?: number | undefined;
      /** Items on the page. */
      readonly pageSize?: number | undefined;
    };
    readonly header?: {
      /** Of a stream: the number of the last event that was seen. */
      readonly "Last-Event-ID"?: string | undefined;
    };
    readonly answer: { readonly status: 200; readonly body: HistoryPage };
  };
  /** Lists a run with its hooks and children, and theirs. */
  readonly getFamily: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
      /** Id of the run. */
      readonly runId: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly answer: { readonly status: 200; readonly body: Family };
  };
  /** Exports a run's whole story. */
  readonly exportRun: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
      /** Id of the run. */
      readonly runId: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
      /** Parts with commas between (default: all). */
      readonly parts?: string | undefined;
      /** false leaves out what the run was given, made and said. */
      readonly values?: "true" | "false" | undefined;
    };
    readonly answer: { readonly status: 200; readonly body: RunExport };
  };
  /** Lists task queues with their load. */
  readonly listQueues: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly answer: { readonly status: 200; readonly body: QueueList };
  };
  /** Describes a task queue. */
  readonly getQueue: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
      /** Name of the TaskQueue, or of the queue. */
      readonly queue: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly answer: { readonly status: 200; readonly body: Queue };
  };
  /** Lists the Workflows of a Store. */
  readonly listWorkflows: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly answer: { readonly status: 200; readonly body: WorkflowList };
  };
  /** Describes a Workflow. */
  readonly getWorkflow: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
      /** Name of the Workflow, or of the type. */
      readonly workflow: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly answer: { readonly status: 200; readonly body: Workflow };
  };
  /** Lists schedules. */
  readonly listSchedules: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly answer: { readonly status: 200; readonly body: ScheduleList };
  };
  /** Describes a schedule. */
  readonly getSchedule: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
      readonly schedule: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly answer: { readonly status: 200; readonly body: Schedule };
  };
  /** Starts a run of a schedule now. */
  readonly triggerSchedule: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
      readonly schedule: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly body?: TriggerRequest;
    readonly answer: { readonly status: 200; readonly body: Schedule };
  };
  /** Pauses a schedule. */
  readonly pauseSchedule: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
      readonly schedule: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly answer: { readonly status: 200; readonly body: Schedule };
  };
  /** Ends the pause of a schedule. */
  readonly resumeSchedule: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
      readonly schedule: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly answer: { readonly status: 200; readonly body: Schedule };
  };
  /** Makes up for the times of a span of the past. */
  readonly backfillSchedule: {
    readonly path: {
      /** Kubernetes namespace (outside Kubernetes: default). */
      readonly namespace: string;
      readonly schedule: string;
    };
    readonly query?: {
      /** Name of the Store; needed where the Kubernetes namespace has several. */
      readonly store?: string | undefined;
    };
    readonly body: BackfillRequest;
    readonly answer: { readonly status: 200; readonly body: Schedule };
  };
  /** Says as whom the caller is known. */
  readonly whoami: {
    readonly answer: { readonly status: 200; readonly body: Whoami };
  };
}

/** Where each operation is. */
export const ROUTES = {
  startRun: { method: "POST", path: "/v1/namespaces/{namespace}/runs" },
  listRuns: { method: "GET", path: "/v1/namespaces/{namespace}/runs" },
  executeRun: { method: "POST", path: "/v1/namespaces/{namespace}/runs:execute" },
  countRuns: { method: "GET", path: "/v1/namespaces/{namespace}/runs:count" },
  getRun: { method: "GET", path: "/v1/namespaces/{namespace}/runs/{runId}" },
  getRunByWorkflowId: { method: "GET", path: "/v1/namespaces/{namespace}/workflows/{workflow}/ids/{workflowId}" },
  getResult: { method: "GET", path: "/v1/namespaces/{namespace}/runs/{runId}/result" },
  signalRun: { method: "POST", path: "/v1/namespaces/{namespace}/runs/{runId}/signals/{signal}" },
  getState: { method: "GET", path: "/v1/namespaces/{namespace}/runs/{runId}/state" },
  getEntity: { method: "GET", path: "/v1/namespaces/{namespace}/runs/{runId}/entity" },
  getSearchData: { method: "GET", path: "/v1/namespaces/{namespace}/runs/{runId}/search-data" },
  cancelRun: { method: "POST", path: "/v1/namespaces/{namespace}/runs/{runId}:cancel" },
  interruptRun: { method: "POST", path: "/v1/namespaces/{namespace}/runs/{runId}:interrupt" },
  terminateRun: { method: "POST", path: "/v1/namespaces/{namespace}/runs/{runId}:terminate" },
  getHistory: { method: "GET", path: "/v1/namespaces/{namespace}/runs/{runId}/history" },
  getFamily: { method: "GET", path: "/v1/namespaces/{namespace}/runs/{runId}/family" },
  exportRun: { method: "GET", path: "/v1/namespaces/{namespace}/runs/{runId}/export" },
  listQueues: { method: "GET", path: "/v1/namespaces/{namespace}/queues" },
  getQueue: { method: "GET", path: "/v1/namespaces/{namespace}/queues/{queue}" },
  listWorkflows: { method: "GET", path: "/v1/namespaces/{namespace}/workflows" },
  getWorkflow: { method: "GET", path: "/v1/namespaces/{namespace}/workflows/{workflow}" },
  listSchedules: { method: "GET", path: "/v1/namespaces/{namespace}/schedules" },
  getSchedule: { method: "GET", path: "/v1/namespaces/{namespace}/schedules/{schedule}" },
  triggerSchedule: { method: "POST", path: "/v1/namespaces/{namespace}/schedules/{schedule}:trigger" },
  pauseSchedule: { method: "POST", path: "/v1/namespaces/{namespace}/schedules/{schedule}:pause" },
  resumeSchedule: { method: "POST", path: "/v1/namespaces/{namespace}/schedules/{schedule}:resume" },
  backfillSchedule: { method: "POST", path: "/v1/namespaces/{namespace}/schedules/{schedule}:backfill" },
  whoami: { method: "GET", path: "/v1/whoami" },
} as const;
