/**
 * Reads that are bounded by rows and by bytes: what does not fit comes with the next page.
 *
 * Promises that a page always brings something on, and that each of the things asked for comes in order, after the ones
 * asked for before it. Bytes are those of the stored payloads, which Postgres may have compressed.
 */

/** Rows of one page. */
export const PAGE_ROWS = 5_000;
/** Stored bytes of the payloads of one page, but for its last row. */
export const PAGE_BYTES: number = 4 * 1024 * 1024;

/** What every row of a page says besides. */
export interface PageRow {
  /** Which of the things asked for it belongs to; 1-based. */
  readonly place: number;
  /** Bytes of the page up to and with this row. */
  readonly bytes: number;
}

/** One page. */
export interface Page<Asked, Row> {
  readonly rows: readonly Row[];
  /** What is whole with this page. */
  readonly whole: readonly Asked[];
  /** What is still to be read, from its beginning or from where the page ends. */
  readonly rest: readonly Asked[];
}

/** How one kind of thing is read. */
export interface PageReader<Asked, Row extends PageRow> {
  /** One statement, limited by PAGE_ROWS and PAGE_BYTES. */
  read(asked: readonly Asked[]): Promise<readonly Row[]>;
  /** What is left of a thing after this row. */
  after(asked: Asked, last: Row): Asked;
}

/** Reads the first page of what is asked for. */
export async function readPage<Asked, Row extends PageRow>(
  asked: readonly Asked[],
  reader: PageReader<Asked, Row>,
): Promise<Page<Asked, Row>> {
  const rows = await reader.read(asked);
  const last = rows.at(-1);
  const cut = last === undefined ? undefined : asked[last.place - 1];
  if (last === undefined || cut === undefined || (rows.length < PAGE_ROWS && last.bytes < PAGE_BYTES))
    return { rows, whole: asked, rest: [] };
  const rest = [reader.after(cut, last), ...asked.slice(last.place)];
  return { rows, whole: asked.slice(0, last.place - 1), rest };
}

/** Reads page after page until all is read. */
export async function* readPages<Asked, Row extends PageRow>(
  asked: readonly Asked[],
  reader: PageReader<Asked, Row>,
): AsyncGenerator<Page<Asked, Row>> {
  let left = asked;
  while (left.length > 0) {
    const page = await readPage(left, reader);
    yield page;
    left = page.rest;
  }
}
