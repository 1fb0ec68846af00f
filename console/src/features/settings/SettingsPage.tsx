import { SearchX } from "lucide-react";
import { Link } from "wouter";
import { classes } from "../../ui/classes";
import { Empty } from "../../ui/feedback";
import { Page } from "../../ui/page";
import { useProject } from "../project/project";
import { AccountSection } from "./AccountSection";
import { AgentsSection } from "./AgentsSection";
import { DevicesSection } from "./DevicesSection";
import { KeysSection } from "./KeysSection";
import { PreferencesSection } from "./PreferencesSection";
import styles from "./settings.module.css";
import { WebhooksSection } from "./WebhooksSection";

const SECTIONS = [
  { name: "devices", title: "Devices", Section: DevicesSection },
  { name: "notifications", title: "Notifications", Section: PreferencesSection },
  { name: "webhooks", title: "Webhooks", Section: WebhooksSection },
  { name: "agents", title: "Agents and limits", Section: AgentsSection },
  { name: "keys", title: "Keys", Section: KeysSection },
  { name: "account", title: "Account", Section: AccountSection },
] as const;

export default function SettingsPage({ section }: { section: string }) {
  const { href } = useProject();
  const shown = SECTIONS.find(({ name }) => name === section);
  return (
    <Page title="Settings">
      <nav aria-label="Settings" className={classes("row wrap", styles.sections)}>
        {SECTIONS.map(({ name, title }) => (
          <Link
            key={name}
            href={href(`/settings/${name}`)}
            aria-current={name === shown?.name ? "page" : undefined}
          >
            {title}
          </Link>
        ))}
      </nav>
      {shown ? (
        <shown.Section />
      ) : (
        <Empty icon={SearchX} title="There is no such page">
          <p>Its address is wrong.</p>
        </Empty>
      )}
    </Page>
  );
}
