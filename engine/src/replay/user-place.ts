/**
 * Names the place in user code that a stack trace points at.
 */

/** Frames of Node, of this engine and of the SDK are not the user's. */
const NOT_USER = /node:|\(native\)|<anonymous>|[\\/]@?memflow[\\/](engine|sdk)[\\/]|[\\/](engine|sdk)[\\/](src|dist)[\\/](?!.*\.test\.)/;

/** The first frame of user code in a stack as `file:line:column`, or '' when there is none. */
export function userPlace(stack: string | undefined): string {
  for (const line of (stack ?? '').split('\n')) {
    const place = /\(?((?:file:\/\/)?[^\s()]+:\d+:\d+)\)?$/.exec(line.trim())?.[1];
    if (place !== undefined && !NOT_USER.test(line)) return place.replace(/^file:\/\//, '');
  }
  return '';
}

/** The place in user code of the current call; deep enough to pass the engine's own frames. */
export function currentUserPlace(): string {
  const holder: { stack?: string } = {};
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 50;
  Error.captureStackTrace(holder, currentUserPlace);
  Error.stackTraceLimit = limit;
  return userPlace(holder.stack);
}
