/**
 * The activities of a pool that other processes serve. Each attempt leaves a line in the file that it is given.
 */
import { appendFile } from "node:fs/promises";

export async function stamp(file: string, index: number): Promise<string> {
  await appendFile(file, `${index} ${process.pid}\n`);
  return `${index} stamped`;
}

// oxlint-disable-next-line import/no-default-export -- that a default export works is what is tested with it
export default async function seal(file: string): Promise<string> {
  await appendFile(file, `sealed ${process.pid}\n`);
  return "sealed";
}
