/** How many shapes of a plan the search looked at, and how many of them are too large, from the certificate's words. */
export function candidatesOf(certificate: string): { all: number; large: number } | null {
  const [, all, large] = /(\d+) candidates: (\d+) too large/.exec(certificate) ?? [];
  return all && large ? { all: Number(all), large: Number(large) } : null;
}
