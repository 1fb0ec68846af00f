/** The API's shapes by the names that the console uses. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Task = Schemas["TaskOut"];
export type Run = Schemas["RunOut"];
/** How many runs a task has, and the newest of them. */
export type RunList = Pick<Schemas["RunPage"], "count" | "results">;
export type RunRequest = Schemas["RunIn"];
export type RunStatus = Run["status"];
export type Verification = Schemas["VerificationOut"];
export type Verdict = NonNullable<Verification["verdict"]>;
export type CheckResult = Schemas["CheckResultOut"];
export type Agent = Schemas["AgentOut"];
export type Limit = Schemas["LimitOut"];
export type ApiKey = Schemas["OwnKeyOut"];
export type Acceptance = NonNullable<Task["acceptance"]>;
export type CheckSet = Schemas["CheckSetOut"];
export type FoundCheck = Verification["found"][number]["check"];
export type Project = Schemas["SessionProject"];
export type UserBasic = Schemas["UserBasic"];
export type Device = Schemas["DeviceOut"];
export type Notification = Schemas["NotificationOut"];
export type Preferences = Schemas["PreferencesOut"];
export type QuietHours = Schemas["QuietHoursOut"];
export type WebhookEndpoint = Schemas["EndpointOut"];
export type NewEndpoint = Schemas["NewEndpointOut"];
export type Delivery = Schemas["DeliveryOut"];
export type WholeDelivery = Schemas["DeliveryDetailOut"];
export type Rotated = Schemas["RotatedOut"];
export type PresenceBeat = Schemas["PresenceIn"];
export type Prepared = Schemas["PreparedOut"];
export type Session = Schemas["ConsoleSessionOut"];
export type PendingLogin = Schemas["PendingLoginOut"];
export type SessionRow = Schemas["ConsoleSessionRow"];
export type Diff = Schemas["DiffOut"];
export type Review = Schemas["ReviewOut"];
export type FileChange = Schemas["FileDiff"];
export type InboxRow = Schemas["QuestionOut"];
export type QueuedMessage = Schemas["QueuedMessageOut"];
export type InboxPage = Schemas["InboxPage"];
export type Answered = Schemas["AnsweredOut"];

export type Answer = { digest?: string } & (
  | { option_id: string; custom_input?: string }
  | { action: "accept" | "decline" | "cancel"; content?: Record<string, unknown> }
  | { text: string }
);

/** What a run waits for, as its state says it. */
interface WaitingFor {
  kind: string;
  tool_call?: { title?: string };
  /** Why the turn of the agent failed, if it did. */
  failure?: string;
}

export function waitingFor(run: Run | null): WaitingFor | null {
  const value = run?.state.waiting_for;
  return typeof value === "object" && value !== null && "kind" in value ? (value as WaitingFor) : null;
}
