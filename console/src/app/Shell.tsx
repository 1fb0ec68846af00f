/** What is around every page: the ways to other pages, what needs the person, and whether the page is live. */
import { useQuery } from "@tanstack/react-query";
import { Inbox, Keyboard, ListTodo, Plus, Settings, WifiOff } from "lucide-react";
import { type ReactNode, useState } from "react";
import { Link, useLocation, useRoute } from "wouter";
import { fetchTasks } from "../api/tasks";
import type { Run, Task } from "../api/types";
import { useOpenCount } from "../features/inbox/useInbox";
import { ProjectSelect } from "../features/project/ProjectSelect";
import { nameOf, useProject } from "../features/project/project";
import { stateOf, titleOf } from "../features/project/runState";
import { classes } from "../ui/classes";
import { IconButton } from "../ui/controls";
import { useKeys } from "../ui/keys";
import { StateIcon } from "../ui/status";
import { KeyboardHelp } from "./KeyboardHelp";
import { Palette } from "./Palette";
import styles from "./shell.module.css";

const SHOWN = 12;

export function Shell({ children }: { children: ReactNode }) {
  const { project, session, connection, href } = useProject();
  const [, navigate] = useLocation();
  const [overlay, setOverlay] = useState<"keys" | "palette" | null>(null);
  const [isRun] = useRoute("/tasks/*?");
  useKeys({
    "?": () => setOverlay("keys"),
    "Mod+k": () => setOverlay("palette"),
    "g t": () => navigate(href("/")),
    "g i": () => navigate(href("/inbox")),
    "g s": () => navigate(href("/settings")),
    c: () => navigate(href("/?new=1")),
  });
  return (
    <div className={classes(styles.shell, isRun && styles.onRun)}>
      <a className={styles.skip} href="#content">
        Skip to the content
      </a>
      <nav className={styles.side} aria-label="Console">
        <div className={styles.brand}>
          <img src="/console/icon.svg" alt="" width="20" height="20" />
          {session.projects.length > 1 ? (
            <ProjectSelect className={styles.projects} />
          ) : (
            <span className={styles.project}>{project.name}</span>
          )}
          <IconButton label="New task" onClick={() => navigate(href("/?new=1"))}>
            <Plus size={16} />
          </IconButton>
        </div>
        <Places />
        <Active />
        <div className={styles.foot}>
          <span className={styles.user} title={session.user.email}>
            {nameOf(session.user)}
          </span>
          <IconButton label="Keyboard shortcuts" onClick={() => setOverlay("keys")}>
            <Keyboard size={16} />
          </IconButton>
        </div>
      </nav>
      <div className={styles.content} id="content">
        {connection === "offline" && (
          <p className={styles.offline} role="status">
            <WifiOff size={14} aria-hidden="true" /> Not connected. What you see may be old; trying again.
          </p>
        )}
        {children}
      </div>
      <nav className={styles.bottom} aria-label="Console, short">
        <Places />
      </nav>
      {overlay === "keys" && <KeyboardHelp onClose={() => setOverlay(null)} />}
      {overlay === "palette" && <Palette onClose={() => setOverlay(null)} />}
    </div>
  );
}

function Places() {
  const { href } = useProject();
  const [location] = useLocation();
  const open = useOpenCount();
  const places = [
    { to: "/", label: "Tasks", icon: ListTodo, isHere: location === "/" || location.startsWith("/tasks") },
    { to: "/inbox", label: "Inbox", icon: Inbox, isHere: location === "/inbox", count: open },
    { to: "/settings", label: "Settings", icon: Settings, isHere: location.startsWith("/settings") },
  ];
  return (
    <ul className={styles.places}>
      {places.map(({ to, label, icon: Icon, isHere, count }) => (
        <li key={to}>
          <Link
            href={href(to)}
            className={classes(isHere && styles.here)}
            aria-current={isHere ? "page" : undefined}
          >
            <Icon size={18} aria-hidden="true" />
            <span>{label}</span>
            {count ? (
              <span className={styles.badge}>
                {count}
                <span className="visually-hidden"> open</span>
              </span>
            ) : null}
          </Link>
        </li>
      ))}
    </ul>
  );
}

/** Tasks that an agent works on now, what asks first: the way from one run to the next. */
function Active() {
  const { project } = useProject();
  const query = useQuery({
    queryKey: ["tasks", project.id, { status: "in_progress" }, "active"],
    queryFn: () => fetchTasks(project.id, { status: "in_progress" }, 100, 0),
  });
  const tasks = query.data?.results ?? [];
  const asks = tasks.filter((task) => stateOf(task.latest_run as Run | null) !== "running");
  const runs = tasks.filter((task) => stateOf(task.latest_run as Run | null) === "running");
  return (
    <div className={styles.active}>
      <ActiveGroup title="Needs you" tasks={asks} />
      <ActiveGroup title="Running" tasks={runs} />
    </div>
  );
}

function ActiveGroup({ title, tasks }: { title: string; tasks: Task[] }) {
  const { href } = useProject();
  const [location] = useLocation();
  if (tasks.length === 0) return null;
  return (
    <section>
      <h2>
        {title} <span>{tasks.length}</span>
      </h2>
      <ul>
        {tasks.slice(0, SHOWN).map((task) => {
          const isHere = location.startsWith(`/tasks/${task.id}`);
          return (
            <li key={task.id}>
              <Link
                href={href(`/tasks/${task.id}`)}
                className={classes(isHere && styles.here)}
                aria-current={isHere ? "page" : undefined}
              >
                <StateIcon state={stateOf(task.latest_run as Run | null)} size={14} />
                <span className={styles.activeTitle}>{titleOf(task)}</span>
              </Link>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
