/** `workflows`. */
import type { Workflow } from "@memflow/gateway/client";
import type { CommandSession } from "../cli/command-session.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import type { Column, View } from "../print/printer.ts";
import { everyStore } from "./every-store.ts";

/** The command line. */
export interface WorkflowsOptions {
  readonly name?: string | undefined;
  readonly allNamespaces?: boolean;
}

interface PlacedWorkflow extends Workflow {
  readonly namespace?: string;
}

const COLUMNS: readonly Column<PlacedWorkflow>[] = [
  { heading: "NAME", cell: ({ name }) => name },
  { heading: "WORKFLOW", cell: ({ workflow }) => workflow },
  { heading: "QUEUE", cell: ({ taskQueue }) => taskQueue },
  { heading: "SUSPENDED", cell: ({ suspended }) => String(suspended) },
  { heading: "INPUT", cell: inputOf },
  {
    heading: "RETENTION",
    isWide: true,
    cell: ({ retention }) => (retention === undefined ? "<none>" : JSON.stringify(retention)),
  },
];

const WORKFLOW_VIEW: View<PlacedWorkflow> = { kind: "workflow", name: ({ name }) => name, columns: COLUMNS };
const PLACED_WORKFLOW_VIEW: View<PlacedWorkflow> = {
  ...WORKFLOW_VIEW,
  columns: [{ heading: "NAMESPACE", cell: ({ namespace }) => namespace ?? "" }, ...COLUMNS],
};

/** Shows Workflows. */
export async function workflows(session: CommandSession, options: WorkflowsOptions): Promise<number> {
  const { client, namespace, store } = await session.connect();
  if (options.name !== undefined) {
    const path = { namespace, workflow: options.name };
    const { body } = await client.call("getWorkflow", { path, query: { store } });
    await session.printer.one(WORKFLOW_VIEW, body);
    return EXIT_CODES.done;
  }
  const isAll = options.allNamespaces === true;
  const places = isAll ? await everyStore(session) : [{ namespace, store }];
  const found: PlacedWorkflow[] = [];
  for (const place of places) {
    const answer = await client.call("listWorkflows", {
      path: { namespace: place.namespace },
      query: { store: place.store },
    });
    found.push(...answer.body.workflows.map((one) => (isAll ? { namespace: place.namespace, ...one } : one)));
  }
  await session.printer.list(isAll ? PLACED_WORKFLOW_VIEW : WORKFLOW_VIEW, found);
  if (found.length === 0) session.say("no workflows found");
  return EXIT_CODES.done;
}

/** The fields of an input: those that are required first, the others with a question mark. */
function inputOf({ inputSchema }: Workflow): string {
  const properties = inputSchema?.["properties"];
  if (typeof properties !== "object" || properties === null) return "<any>";
  const required = inputSchema?.["required"];
  const isRequired = (field: string): boolean => Array.isArray(required) && required.includes(field);
  const fields = Object.keys(properties);
  return [
    ...fields.filter(isRequired),
    ...fields.filter((field) => !isRequired(field)).map((field) => `${field}?`),
  ].join(",");
}
