// What a browser remembers of a person from one visit to the next. It may refuse to: a report that is opened
// as a file, private windows.

export function remember(name: string, value: string) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // Then it lasts as long as the page.
  }
}

export function recall(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}
