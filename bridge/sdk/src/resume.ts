/** What is needed of a browser's storage. */
export interface Shelf {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
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
  #id: string | undefined;

  constructor(name: string, storage: Shelf | undefined) {
    this.#slot = `latido:${name}`;
    this.#storage = storage;
    this.take();
  }

  get current(): string | undefined {
    return this.#id;
  }

  keep(id: string): void {
    this.#id = id;
  }

  /** The session is over, or another page has it. */
  forget(): void {
    this.#id = undefined;
  }

  /** The page is shown (again): what lies in storage is ours. */
  take(): void {
    const id = this.#storage?.getItem(this.#slot);
    if (!id) return;
    this.#storage?.removeItem(this.#slot);
    this.#id = id;
  }

  /** The page goes away, perhaps to be loaded again. */
  park(): void {
    if (this.#id !== undefined) this.#storage?.setItem(this.#slot, this.#id);
  }
}
