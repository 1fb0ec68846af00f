/** Parts of the console that are loaded when they are first shown, and what stands there when that fails. */
import { Component, type ComponentType, lazy, Suspense, useEffect } from "react";
import { FailedPage, Failure, Loading } from "./feedback";

const NOT_LOADED = "It could not be loaded. You may be offline, or the console was updated.";
const BROKEN = "Something in it failed.";

type Load<Props> = () => Promise<{ default: ComponentType<Props> }>;

/**
 * Like `lazy`, and a part that could not be loaded says so, and is loaded again: when the browser is online again, by
 * the button, or when it is shown the next time. `lazy` alone keeps a failure for ever, and the page stays white.
 */
export function later<Props extends object>(load: Load<Props>, isPage: boolean): ComponentType<Props> {
  let isLoaded = false;
  const loadNoted = async () => {
    const part = await load();
    isLoaded = true;
    return part;
  };
  let Part = lazy(loadNoted);
  return class Later extends Component<Props, { hasFailed: boolean }> {
    override state = { hasFailed: false };

    static getDerivedStateFromError() {
      Part = lazy(loadNoted);
      return { hasFailed: true };
    }

    override render() {
      if (!this.state.hasFailed)
        return (
          <Suspense fallback={<Loading what={isPage ? "the page" : "the pane"} />}>
            <Part {...this.props} />
          </Suspense>
        );
      const show = () => this.setState({ hasFailed: false });
      return <NotShown why={isLoaded ? BROKEN : NOT_LOADED} isPage={isPage} load={load} onLoaded={show} />;
    }
  };
}

interface Props {
  why: string;
  isPage: boolean;
  load: () => Promise<unknown>;
  onLoaded: () => void;
}

function NotShown({ why, isPage, load, onLoaded }: Props) {
  useEffect(() => {
    const onOnline = () => void load().then(onLoaded, () => {});
    window.addEventListener("online", onOnline);
    return () => window.removeEventListener("online", onOnline);
  }, [load, onLoaded]);
  const retry = () => void load().then(onLoaded, reloadIfUpdated);
  if (!isPage) return <Failure error={new Error(why)} onRetry={retry} />;
  return <FailedPage title="This page cannot be shown" error={new Error(why)} onRetry={retry} />;
}

/** Files of an earlier release are gone for good: only another page has the names of the new ones. */
async function reloadIfUpdated(): Promise<void> {
  const { ok } = await fetch("/console/", { cache: "no-store" }).catch(() => ({ ok: false }));
  if (ok) location.reload();
}
