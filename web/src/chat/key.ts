/** The API key: in memory, and only if the person asks for it in the tab's session storage, which ends with the tab. */

const slot = "composer-api-key";

export class Key {
  private value = read();

  get(): string {
    return this.value;
  }

  /** remembered reports whether the key outlives a reload. */
  remembered(): boolean {
    return read() !== "";
  }

  set(value: string, remember: boolean): void {
    this.value = value.trim();
    try {
      if (remember && this.value !== "") sessionStorage.setItem(slot, this.value);
      else sessionStorage.removeItem(slot);
    } catch {
      // A browser may forbid storage: the key then lives until the page is closed.
    }
  }
}

function read(): string {
  try {
    return sessionStorage.getItem(slot) ?? "";
  } catch {
    return "";
  }
}
