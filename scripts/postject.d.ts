/** postject brings no types. */
declare module "postject" {
  /** Puts data into an executable, under a name. */
  export function inject(
    file: string,
    name: string,
    data: Buffer,
    options: { readonly sentinelFuse: string; readonly machoSegmentName?: string },
  ): Promise<void>;
}
