/**
 * The one stream of a page: the ledger of a project, the person's inbox and the streams of the runs that are shown.
 *
 * One connection, since browsers allow six to a host. It is opened again with the last place of each topic after an
 * error (with growing pauses), after the service's rotation, when the topics change, and when a tab that was hidden
 * for long is shown again.
 */

export interface LedgerEvent {
  id: string;
  seq: number;
  type: string;
  data: { task_id?: string; run_id?: string; question_id?: string };
}

export interface RunListener {
  onEvent(value: unknown): void;
  /** Something is missing in the stream: read the log. */
  onGap(value: unknown): void;
}

interface Listeners {
  onLedgerGap(): void;
  /** Whether nothing is heard of the service, until a stream is open again: trying again changes nothing. */
  onOffline(isOffline: boolean): void;
  /** The service answered with something else than a stream: the session may have ended. */
  onRefused(): void;
}

// Keepalives come each 20 seconds: without two of them the connection is dead, as after a sleep, or the service hangs.
const SILENCE_MS = 42_000;
const HIDDEN_MS = 300_000;
const NETWORK = ["online", "offline"];
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
// A stream that ends sooner was of no use: pauses grow, though each one was opened.
const USEFUL_MS = 10_000;

export class ProjectStream {
  private source: EventSource | null = null;
  private ledgerListeners = new Set<(event: LedgerEvent) => void>();
  private beginListeners = new Set<() => void>();
  private runs = new Map<string, RunListener>();
  private places = new Map<string, string>();
  private ledger = "";
  private pause = FIRST_PAUSE_MS;
  private openedAt = Number.POSITIVE_INFINITY;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private watchdog: ReturnType<typeof setTimeout> | undefined;
  private hiding: ReturnType<typeof setTimeout> | undefined;
  private isClosed = false;

  constructor(
    private readonly project: number,
    private readonly listeners: Listeners,
  ) {
    document.addEventListener("visibilitychange", this.onVisibility);
    for (const name of NETWORK) window.addEventListener(name, this.onNetwork);
    this.connectSoon(0);
  }

  /** Follow a run until the returned function is called; `from` is a place that `placeOf` gave earlier. */
  follow(run: string, from: string | null, listener: RunListener): () => void {
    this.runs.set(run, listener);
    if (from) this.places.set(run, from);
    else this.places.delete(run);
    this.connectSoon(0);
    return () => {
      if (this.runs.get(run) !== listener) return;
      this.runs.delete(run);
      this.connectSoon(0);
    };
  }

  /** Hear each event of the ledger until the returned function is called. */
  listen(listener: (event: LedgerEvent) => void): () => void {
    this.ledgerListeners.add(listener);
    return () => this.ledgerListeners.delete(listener);
  }

  /** Whether no event of the ledger from now on can be missed. */
  get hasBegun(): boolean {
    return this.ledger !== "";
  }

  /** Hear when `hasBegun` becomes true, until the returned function is called: what was read before may be older. */
  onceBegun(listener: () => void): () => void {
    this.beginListeners.add(listener);
    return () => this.beginListeners.delete(listener);
  }

  placeOf(run: string): string | null {
    return this.places.get(run) ?? null;
  }

  close(): void {
    this.isClosed = true;
    document.removeEventListener("visibilitychange", this.onVisibility);
    for (const name of NETWORK) window.removeEventListener(name, this.onNetwork);
    clearTimeout(this.hiding);
    this.disconnect();
  }

  private onVisibility = () => {
    clearTimeout(this.hiding);
    if (document.visibilityState === "hidden") {
      this.hiding = setTimeout(() => this.disconnect(), HIDDEN_MS);
    } else if (!this.source) {
      this.connectSoon(0);
    }
  };

  /** What was open may stay so for long without a network, and a service on this machine needs none: trying tells. */
  private onNetwork = () => this.connectSoon(0);

  private disconnect(): void {
    clearTimeout(this.timer);
    clearTimeout(this.watchdog);
    this.source?.close();
    this.source = null;
  }

  /** Changes of topics in one go make one connection. */
  private connectSoon(after: number): void {
    if (this.isClosed) return;
    this.disconnect();
    this.timer = setTimeout(() => this.connect(), after);
  }

  private connect(): void {
    const topics = ["tasks", "inbox", ...[...this.runs.keys()].map((run) => `run:${run}`)];
    const query = new URLSearchParams({ topics: topics.join(",") });
    const runPlaces = [...this.runs.keys()].filter((run) => this.places.has(run));
    if (this.ledger || runPlaces.length) {
      const places = runPlaces.map((run) => `${run}=${this.places.get(run)}`);
      query.set("last_event_id", [this.ledger || "-", ...places].join(";"));
    }
    const source = new EventSource(`/api/projects/${this.project}/events/stream/?${query}`);
    this.source = source;
    source.onopen = () => {
      this.openedAt = Date.now();
      this.listeners.onOffline(false);
      this.watch();
    };
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) this.listeners.onRefused();
      this.retry();
    };
    source.onmessage = (event) => {
      this.note(event);
      const said = JSON.parse(event.data) as LedgerEvent;
      for (const listener of this.ledgerListeners) listener(said);
    };
    source.addEventListener("keepalive", (event) => {
      const isBegin = this.ledger === "";
      this.note(event);
      if (!isBegin || !this.ledger) return;
      for (const listener of this.beginListeners) listener();
    });
    source.addEventListener("end", () => this.connectSoon(0));
    source.addEventListener("gap", (event) => this.onGap(event));
    for (const [run, listener] of this.runs) {
      source.addEventListener(`run:${run}`, (event) => {
        this.note(event);
        listener.onEvent(JSON.parse(event.data));
      });
    }
    this.watch();
  }

  private onGap(event: MessageEvent): void {
    this.note(event);
    const gap = JSON.parse(event.data) as { topic?: string };
    if (gap.topic === "tasks" || gap.topic === "inbox") this.listeners.onLedgerGap();
    else this.runs.get(gap.topic?.replace(/^run:/, "") ?? "")?.onGap(gap);
  }

  private retry(): void {
    this.listeners.onOffline(true);
    if (Date.now() - this.openedAt >= USEFUL_MS) this.pause = FIRST_PAUSE_MS;
    this.openedAt = Number.POSITIVE_INFINITY;
    // Many consoles must not come back at the same moment.
    const pause = this.pause * (0.75 + Math.random() / 2);
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE_MS);
    this.connectSoon(pause);
  }

  private note(event: MessageEvent): void {
    this.watch();
    const [ledger, ...places] = event.lastEventId.split(";");
    if (ledger && ledger !== "-") this.ledger = ledger;
    for (const place of places) {
      const at = place.indexOf("=");
      this.places.set(place.slice(0, at), place.slice(at + 1));
    }
  }

  private watch(): void {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => this.retry(), SILENCE_MS);
  }
}
