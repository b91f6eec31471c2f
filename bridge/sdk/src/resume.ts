/** What is needed of a browser's storage. */
export interface Shelf {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** What a hello says of the session that it continues, as the last welcome told it. */
export interface Resumed {
  session: string;
  /** Said again it makes the next connection the newer one, whatever the clocks of two bridges. */
  generation: number;
}

/**
 * The secret by which a returning page continues its session: same member, no leave, no join.
 *
 * It has to survive a reload, so it is kept in sessionStorage; and browsers copy sessionStorage into a
 * duplicated tab, which must not continue a session that is still in use. So it lies in storage only
 * while no page uses it: the page that starts takes it out, the page that ends puts it back.
 */
export class ResumeId {
  readonly #slot: string;
  readonly #storage: Shelf | undefined;
  #current: Resumed | undefined;

  constructor(name: string, storage: Shelf | undefined) {
    this.#slot = `latido/${name}`;
    this.#storage = storage;
    this.take();
  }

  get current(): Resumed | undefined {
    return this.#current;
  }

  keep({ session, generation }: Resumed): void {
    this.#current = { session, generation };
  }

  /** The session is over, or another page has it. */
  forget(): void {
    this.#current = undefined;
  }

  /** The page is shown (again): what lies in storage is ours. */
  take(): void {
    const parked = this.#storage?.getItem(this.#slot);
    if (!parked) return;
    this.#storage?.removeItem(this.#slot);
    this.#current = JSON.parse(parked);
  }

  /** The page goes away, perhaps to be loaded again. */
  park(): void {
    if (this.#current) this.#storage?.setItem(this.#slot, JSON.stringify(this.#current));
  }
}
