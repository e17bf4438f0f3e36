/** What the API is: its operations, what they take and give, and the problems that they answer with. */
export { BODY_PROBLEMS, COMMON_PROBLEMS } from "./operation.ts";
export type { AccessObject, Operation, OperationAccess, OperationAnswer } from "./operation.ts";
export { OPERATIONS } from "./operations.ts";
export type { OperationId } from "./operations.ts";
export { PROBLEM_TYPE_PREFIX, problemSchema, PROBLEMS } from "./problems.ts";
export type { ProblemBody, ProblemCode } from "./problems.ts";
