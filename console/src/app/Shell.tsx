/** What is around every page: the ways to other pages, what needs the person, and whether the page is live. */
import { Inbox, Keyboard, ListTodo, Plus, Settings, WifiOff } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { Link, useLocation, useRoute } from "wouter";
import type { InboxRow } from "../api/types";
import { useActive } from "../features/project/active";
import { needsText, runHref, useNeeds } from "../features/project/inbox";
import { useNews } from "../features/project/news";
import { ProjectSelect } from "../features/project/ProjectSelect";
import { nameOf, useProject } from "../features/project/project";
import { stateOf, titleOf } from "../features/project/runState";
import { classes } from "../ui/classes";
import { IconButton } from "../ui/controls";
import { markTitle } from "../ui/heading";
import { useKeys } from "../ui/keys";
import { type State, StateIcon } from "../ui/status";
import { KeyboardHelp } from "./KeyboardHelp";
import { Palette } from "./Palette";
import styles from "./shell.module.css";

const SHOWN = 12;

export function Shell({ children }: { children: ReactNode }) {
  const { project, session, isOffline, href } = useProject();
  const [, navigate] = useLocation();
  const [overlay, setOverlay] = useState<ReactNode>(null);
  const close = () => setOverlay(null);
  const showKeys = () => setOverlay(<KeyboardHelp onClose={close} />);
  const [isRun] = useRoute("/tasks/*?");
  const news = useNews().count;
  useEffect(() => markTitle(news), [news]);
  useKeys({
    "?": ["Show the keyboard shortcuts", showKeys],
    "Mod+k": ["Find a task or a command", (event) => setOverlay(<Palette isMenu={!event} onClose={close} />)],
    "g t": ["Go to the tasks", () => navigate(href("/"))],
    "g i": ["Go to the inbox", () => navigate(href("/inbox"))],
    "g s": ["Go to the settings", () => navigate(href("/settings"))],
    c: ["New task", () => navigate(href("/?new=1"))],
  });
  return (
    <div className={styles.shell}>
      <a className={classes("visually-hidden raised", styles.skip)} href="#content">
        Skip to the content
      </a>
      <nav className={classes("fill sunken at-desk", styles.side)} aria-label="Console">
        <div className={classes("row", styles.brand)}>
          <img src="/console/icon.svg" alt="" width="20" height="20" />
          {session.projects.length > 1 ? (
            <ProjectSelect className={classes("clip grow", styles.project)} />
          ) : (
            <span className={classes("clip grow", styles.project)}>{project.name}</span>
          )}
          <IconButton label="New task" onClick={() => navigate(href("/?new=1"))} icon={Plus} />
        </div>
        <Places />
        <Active />
        <div className={classes("row apart small dim", styles.foot)}>
          <span className="clip" title={session.user.email}>
            {nameOf(session.user)}
          </span>
          <IconButton label="Keyboard shortcuts" onClick={showKeys} icon={Keyboard} />
        </div>
      </nav>
      <div className="fill scrolls" id="content">
        {isOffline && (
          <p className={classes("row small attention", styles.offline)} role="status">
            <WifiOff size={14} /> Not connected. What you see may be old; trying again.
          </p>
        )}
        {children}
      </div>
      <nav className={classes("on-phone", styles.bottom)} hidden={isRun} aria-label="Console, short">
        <Places />
      </nav>
      {overlay}
    </div>
  );
}

function Places() {
  const { href } = useProject();
  const [location] = useLocation();
  const needs = useNeeds();
  const places = [
    { to: "/", label: "Tasks", icon: ListTodo, isHere: location === "/" || location.startsWith("/tasks") },
    { to: "/inbox", label: "Inbox", icon: Inbox, isHere: location === "/inbox", needs },
    { to: "/settings", label: "Settings", icon: Settings, isHere: location.startsWith("/settings") },
  ];
  return (
    <ul className={styles.places}>
      {places.map(({ to, label, icon: Icon, isHere, needs }) => (
        <li key={to}>
          <Link href={href(to)} className="row line dim" aria-current={isHere ? "page" : undefined}>
            <Icon size={18} />
            <span>{label}</span>
            {needs && needs.count > 0 && (
              <span className={classes("pill last attention", styles.badge)} title={needsText(needs)}>
                {needs.count}
                <span className="visually-hidden"> open: {needsText(needs)}</span>
              </span>
            )}
          </Link>
        </li>
      ))}
    </ul>
  );
}

/** A verdict has the look of its run; one that refutes has the urgency `normal`. */
const stateToShow = ({ kind, urgency }: InboxRow): State => {
  if (kind !== "verdict") return kind === "message" ? "message" : "question";
  return urgency === "normal" ? "refuted" : "inconclusive";
};

/** What needs the person, and the other runs at work: the way from one run to the next. */
function Active() {
  const { project, href } = useProject();
  const [location] = useLocation();
  const needs = useNeeds();
  const asks = (needs?.results ?? []).map((row) => ({
    key: row.id,
    task: row.task,
    to: runHref(row),
    state: stateToShow(row),
  }));
  const runs = useActive(project.id, {}, "in_progress", true)
    .filter(({ id }) => !asks.some(({ task }) => task.id === id))
    .map((task) => ({
      key: task.id,
      task,
      to: href(`/tasks/${task.id}`),
      state: stateOf(task.latest_run),
    }));
  const titles = [...asks, ...runs].map(({ task }) => titleOf(task));
  const groups = [
    { name: "Needs you", count: needs?.count ?? 0, rows: asks },
    { name: "Running", count: runs.length, rows: runs },
  ];
  return (
    <div className={classes("fill scrolls", styles.active)}>
      {groups
        .filter(({ rows }) => rows.length > 0)
        .map(({ name, count, rows }) => (
          <section key={name}>
            <h2 className="small faint">
              {name} <span>{count}</span>
            </h2>
            <ul>
              {rows.slice(0, SHOWN).map(({ key, task, to, state }) => (
                <li key={key}>
                  <Link
                    href={to}
                    className="row line small dim"
                    aria-current={location.startsWith(`/tasks/${task.id}`) ? "page" : undefined}
                  >
                    <StateIcon state={state} size={14} />
                    <span className="clip grow" title={titleOf(task)}>
                      {titleOf(task)}
                    </span>
                    {titles.indexOf(titleOf(task)) < titles.lastIndexOf(titleOf(task)) && (
                      <span className="fixed faint">{task.slug}</span>
                    )}
                  </Link>
                </li>
              ))}
            </ul>
          </section>
        ))}
    </div>
  );
}
