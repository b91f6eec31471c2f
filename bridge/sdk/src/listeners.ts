/** Takes a listener back. Calling it twice does no harm. */
export type Off = () => void;

/**
 * A set of listeners for one kind of news. A listener that throws is reported the way the browser reports
 * an uncaught error and never keeps the news from the others, or from the connection that brought it.
 */
export class Listeners<T> {
  readonly #all = new Set<(news: T) => void>();
  /** What is to be told, in order. */
  readonly #untold: T[] = [];

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

  /** News that a listener causes is told after the news it heard, so that everybody hears them in one order. */
  tell(news: T): void {
    if (this.#untold.push(news) > 1) return;
    for (; this.#untold.length > 0; this.#untold.shift()) {
      for (const listener of [...this.#all]) {
        try {
          listener(this.#untold[0] as T);
        } catch (error) {
          report(error);
        }
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
