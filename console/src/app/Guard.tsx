import { Component, type ReactNode } from "react";
import { FailedPage } from "../ui/feedback";

/** Shows a page with a button instead of a white one when the console itself fails; the button loads it again. */
export class Guard extends Component<{ children: ReactNode }, { hasFailed: boolean }> {
  override state = { hasFailed: false };

  static getDerivedStateFromError() {
    return { hasFailed: true };
  }

  override render() {
    if (!this.state.hasFailed) return this.props.children;
    const error = new Error("Something in it failed.");
    return <FailedPage title="The console cannot be shown" error={error} onRetry={() => location.reload()} />;
  }
}
