import { QueryClient, QueryClientProvider, useQuery, useQueryClient } from "@tanstack/react-query";
import { UserX } from "lucide-react";
import { useEffect } from "react";
import { Redirect, Route, Router, Switch, useLocation } from "wouter";
import { onSignedOut } from "../api/client";
import { ApiError, isTransient } from "../api/errors";
import { fetchSession } from "../api/session";
import type { Session } from "../api/types";
import { LoginPage } from "../features/login/LoginPage";
import { ProjectProvider } from "../features/project/project";
import { TasksPage } from "../features/tasks/TasksPage";
import { aroundNav, expectPage } from "../ui/arrival";
import { Empty, FailedPage, Loading, Messages, MissingPage } from "../ui/feedback";
import { later } from "../ui/later";
import { Guard } from "./Guard";
import { OpenTask } from "./OpenTask";
import { Shell } from "./Shell";
import { startWorker } from "./worker";

const loadRunPage = () => import("../features/run/RunPage");
const RunPage = later(loadRunPage, true);

const LAST_PROJECT = "taskbeacon.project";
const SHOWN_RUN = /\/projects\/(\d+)\/tasks\/([^/]+)(?:\/runs\/([^/]+))?/;

const loadInbox = () => import("../features/inbox/InboxPage");
const InboxPage = later(loadInbox, true);
const DevicePage = later(() => import("../features/login/DevicePage"), true);
const SettingsPage = later(() => import("../features/settings/SettingsPage"), true);

const client = new QueryClient({
  defaultOptions: {
    // What a person does while offline fails at once, and says so, instead of being done later.
    mutations: { networkMode: "always" },
    queries: {
      staleTime: 10_000,
      retry: (count, error) => count < 3 && isTransient(error),
      retryDelay: (count, error) => {
        const seconds = error instanceof ApiError ? error.retryAfter : null;
        return seconds ? seconds * 1000 : Math.min(1000 * 2 ** count, 10_000);
      },
    },
  },
});

// Loaded beside the session rather than after it. A failure here is that of the page, too, which says it.
if (location.pathname.includes("/tasks/")) {
  const [, project, taskId, runId = null] = SHOWN_RUN.exec(location.pathname) ?? [];
  void loadRunPage()
    .then(({ preload }) => (taskId ? preload(client, Number(project), { taskId, runId }) : undefined))
    .catch(() => {});
}

export function App() {
  return (
    <QueryClientProvider client={client}>
      <Router base="/console" aroundNav={aroundNav}>
        <Guard>
          <SignedIn />
        </Guard>
      </Router>
      <Messages />
    </QueryClientProvider>
  );
}

function SignedIn() {
  const queries = useQueryClient();
  const session = useQuery({ queryKey: ["session"], queryFn: fetchSession, staleTime: 300_000 });
  const [path] = useLocation();
  useEffect(
    () =>
      onSignedOut(() => {
        // Before signing in there is nothing to ask again: the page would forget why a key was refused.
        if (!queries.getQueryData(["session"])) return;
        // What asks for the session may be what was refused: it must not begin again for that.
        expectPage();
        void queries.invalidateQueries({ queryKey: ["session"] }, { cancelRefetch: false });
      }),
    [queries],
  );

  if (session.isPending) return <Loading what="the console" />;
  const isSignedOut = session.error instanceof ApiError && session.error.isSignedOut;
  if (isSignedOut || path.startsWith("/login"))
    return <LoginPage isSignedIn={!isSignedOut && session.data !== undefined} />;
  const retry = () => session.refetch();
  if (!session.data)
    return <FailedPage title="The console cannot be shown" error={session.error} onRetry={retry} />;
  return <Projects session={session.data} />;
}

function Projects({ session }: { session: Session }) {
  const [, navigate] = useLocation();
  useEffect(() => startWorker((address) => navigate(`~${address}`)), [navigate]);
  // Most people open it next.
  useEffect(() => void loadInbox().catch(() => {}), []);
  const first =
    session.projects.find(({ id }) => id === Number(localStorage.getItem(LAST_PROJECT))) ??
    session.projects[0];
  if (!first)
    return (
      <Empty icon={UserX} title="You are a member of no project" isPage>
        <p>Ask the operator to add you to one.</p>
      </Empty>
    );
  return (
    <Switch>
      <Route path="/projects/:project" nest>
        {({ project }) => <OfProject session={session} id={Number(project)} />}
      </Route>
      <Route path="/device">
        <DevicePage session={session} />
      </Route>
      <Route path="/tasks/:task">{({ task }) => <OpenTask session={session} task={task} />}</Route>
      <Route path={/^\/(?:login|projects|tasks|(?<place>inbox|settings(?:\/\w+)?))?\/?$/}>
        {({ place = "" }) => <Redirect to={`/projects/${first.id}/${place}`} replace />}
      </Route>
      <Route>{missing}</Route>
    </Switch>
  );
}

const missing = <MissingPage what="page" why="Its address is wrong." />;

function OfProject({ session, id }: { session: Session; id: number }) {
  const project = session.projects.find((one) => one.id === id);
  useEffect(() => localStorage.setItem(LAST_PROJECT, String(id)), [id]);
  if (!project) return <MissingPage what="project" />;
  return (
    <ProjectProvider key={id} project={project} session={session}>
      <Shell>
        <Switch>
          <Route path="/tasks/:task/runs/:run">
            {({ task, run }) => <RunPage key={task} taskId={task} runId={run} />}
          </Route>
          <Route path={/^\/tasks\/(?<task>[^/]+)(?:\/runs)?\/?$/}>
            {({ task }) => <RunPage key={task} taskId={task as string} runId={null} />}
          </Route>
          <Route path="/inbox" component={InboxPage} />
          <Route path="/settings/:section?">
            {({ section }) => <SettingsPage section={section ?? "devices"} />}
          </Route>
          <Route path={/^\/(?:tasks\/?)?$/} component={TasksPage} />
          <Route>{missing}</Route>
        </Switch>
      </Shell>
    </ProjectProvider>
  );
}
