/**
 * MemFlow's numeric codes by name, as the export `Enums`: what the `code` of an error can be.
 */

export const HMSH_CODE_SUCCESS = 200;
export const HMSH_CODE_PENDING = 202;
/** The state of a run that is not known was asked for. */
export const HMSH_CODE_NOTFOUND = 404;
/** The run was interrupted. */
export const HMSH_CODE_INTERRUPT = 410;
export const HMSH_CODE_UNKNOWN = 500;
export const HMSH_CODE_TIMEOUT = 504;
/** The five interruptions; nothing throws them here. */
export const HMSH_CODE_MEMFLOW_SLEEP = 588;
export const HMSH_CODE_MEMFLOW_ALL = 589;
export const HMSH_CODE_MEMFLOW_CHILD = 590;
export const HMSH_CODE_MEMFLOW_PROXY = 591;
export const HMSH_CODE_MEMFLOW_WAIT = 595;
/** The work took longer than it may. */
export const HMSH_CODE_MEMFLOW_TIMEOUT = 596;
/** The last attempt that the retry policy allows has failed. */
export const HMSH_CODE_MEMFLOW_MAXED = 597;
/** Failed, not to be tried again. */
export const HMSH_CODE_MEMFLOW_FATAL = 598;
/** Failed, may be tried again. */
export const HMSH_CODE_MEMFLOW_RETRYABLE = 599;
