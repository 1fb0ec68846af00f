import { SearchX } from "lucide-react";
import { Link } from "wouter";
import { classes } from "../../ui/classes";
import { inWords } from "../../ui/counts";
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

const SECTIONS = new Map([
  ["devices", DevicesSection],
  ["notifications", PreferencesSection],
  ["webhooks", WebhooksSection],
  ["agents", AgentsSection],
  ["keys", KeysSection],
  ["account", AccountSection],
]);

export default function SettingsPage({ section }: { section: string }) {
  const { href } = useProject();
  const Section = SECTIONS.get(section);
  return (
    <Page title="Settings">
      <nav aria-label="Settings" className={classes("row wrap tight", styles.sections)}>
        {[...SECTIONS.keys()].map((name) => (
          <Link
            key={name}
            className="row line strong dim"
            href={href(`/settings/${name}`)}
            aria-current={name === section ? "page" : undefined}
          >
            {inWords(name)}
          </Link>
        ))}
      </nav>
      {Section ? (
        <Section />
      ) : (
        <Empty icon={SearchX} title="There is no such page">
          <p>Its address is wrong.</p>
        </Empty>
      )}
    </Page>
  );
}
