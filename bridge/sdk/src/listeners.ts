/** Takes a listener back. Calling it twice does no harm. */
export type Off = () => void;

/**
 * A set of listeners for one kind of news. A listener that throws is reported the way the browser reports
 * an uncaught error and never keeps the news from the others, or from the connection that brought it.
 */
export class Listeners<T> {
  readonly #all = new Set<(news: T) => void>();

  get size(): number {
    return this.#all.size;
  }

  add(listener: (news: T) => void): Off {
    this.#all.add(listener);
    return () => this.remove(listener);
  }

  remove(listener: (news: T) => void): void {
    this.#all.delete(listener);
  }

  clear(): void {
    this.#all.clear();
  }

  tell(news: T): void {
    for (const listener of [...this.#all]) {
      try {
        listener(news);
      } catch (error) {
        report(error);
      }
    }
  }
}

/** Makes a failure of the application's own code visible without letting it stop ours. */
export function report(error: unknown): void {
  if (typeof reportError === "function") {
    reportError(error);
  } else {
    console.error(error);
  }
}
