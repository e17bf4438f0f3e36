/** As whom the caller is known. */
import type { Handler } from "./call.ts";

export const whoami: Handler<"whoami"> = async ({ subject }) => {
  const { name, groups, via, impersonatedBy } = subject;
  const body = {
    user: name,
    groups: [...groups],
    via,
    ...(impersonatedBy === undefined ? {} : { impersonatedBy }),
  };
  return { status: 200, body };
};
