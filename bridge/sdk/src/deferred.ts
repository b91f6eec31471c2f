/** A promise with its ends in hand. */
export class Deferred<T> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;
  reject!: (reason: Error) => void;

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  /**
   * Rejects because everything ends, not because this was refused. Whoever waits hears of it; a promise that
   * nobody kept must not become an unhandled rejection, which ends a Node process.
   */
  end(why: Error): void {
    this.promise.catch(() => {});
    this.reject(why);
  }
}

/** A promise that {@link Deferred.end} has ended already. */
export function ended<T>(why: Error): Promise<T> {
  const deferred = new Deferred<T>();
  deferred.end(why);
  return deferred.promise;
}
