import { useEffect } from "react";
import { Tab, TabList, TabPanel, Tabs } from "react-aria-components";
import { CompareTab } from "../compare/CompareTab";
import { DropArea } from "../files/DropArea";
import type { LanguageChoice } from "../i18n/InLanguage";
import { useText } from "../i18n/useText";
import { Inputs } from "../inputs/Inputs";
import { Action } from "../kit/controls";
import { Folded } from "../kit/Folded";
import { PlanTab } from "../plan/PlanTab";
import { RunTab } from "../run/RunTab";
import { SearchTab } from "../search/SearchTab";
import { type Page as PageState, tabs, type Tab as TabName } from "../state/page";
import type { Kept } from "../state/permalink";
import { SessionContext, useSession } from "../state/session";
import { usePermalink } from "../state/usePermalink";
import { useSessionValue } from "../state/useSessionValue";
import { Banner } from "./Banner";
import { Guard } from "./Guard";
import { MemoryTab } from "./MemoryTab";
import { Summary } from "./Summary";
import { TimeTab } from "./TimeTab";
import { useServerWatch } from "./useServerWatch";

interface PageProps extends LanguageChoice {
  kept: Kept | null;
  brokenLink: boolean;
}

const contents: Record<TabName, () => React.ReactNode> = {
  plan: PlanTab,
  memory: MemoryTab,
  time: TimeTab,
  search: SearchTab,
  compare: CompareTab,
  run: RunTab,
};

export function Page(props: PageProps) {
  const t = useText();
  const session = useSessionValue(props.kept, props.brokenLink ? t("broken_link") : null);
  const link = usePermalink(session.page);
  const isGone = useServerWatch(session);
  useUndoKeys(session.dispatch);
  const tab = tabOf(session.page);
  useEffect(() => {
    document.title = t("title");
  }, [t]);
  return (
    <SessionContext value={session}>
      <DropArea>
        <Banner link={link} language={props.language} setLanguage={props.setLanguage} />
        <div className="messages">
          {isGone && (
            <p className="alert wide-alert" role="alert">
              {t("server_gone")}
            </p>
          )}
          <NoticeList />
        </div>
        {/* A run is its own: what is asked here beside it is of something else. */}
        <div className={tab === "run" ? "page one-run" : "page"}>
          <aside aria-label={t("question")} className="question" hidden={tab === "run"}>
            <Folded title={t("question")} open={hasRoom()}>
              <Inputs />
            </Folded>
          </aside>
          <main>
            {tab !== "run" && <Summary />}
            <Contents tab={tab} />
          </main>
        </div>
      </DropArea>
    </SessionContext>
  );
}

/** On a narrow screen the answer comes first. */
function hasRoom(): boolean {
  return window.matchMedia("(min-width: 861px)").matches;
}

function tabsOf(page: PageState): TabName[] {
  return tabs.filter((name) => name !== "run" || page.runs.length > 0);
}

function tabOf(page: PageState): TabName {
  return tabsOf(page).includes(page.view.tab) ? page.view.tab : "plan";
}

function Contents({ tab }: { tab: TabName }) {
  const t = useText();
  const { page, dispatch } = useSession();
  const shown = tabsOf(page);
  return (
    <Tabs
      className="tabs"
      selectedKey={tab}
      onSelectionChange={(key) => dispatch({ do: "view", view: { tab: key as TabName } })}
    >
      <TabList className="tab-list" aria-label={t("views")}>
        {shown.map((name) => (
          <Tab key={name} id={name} className="tab">
            {t(`tab_${name}`)}
          </Tab>
        ))}
      </TabList>
      {shown.map((name) => {
        const Content = contents[name];
        return (
          <TabPanel key={name} id={name} className="tab-panel">
            <Guard sentence={t("part_failed")}>
              <Content />
            </Guard>
          </TabPanel>
        );
      })}
    </Tabs>
  );
}

function NoticeList() {
  const t = useText();
  const { notices, dismiss } = useSession();
  return (
    <div role="alert" className="notices">
      {notices.map((notice) => (
        <p key={notice.id} className={`notice ${notice.kind}`}>
          <span>{notice.text}</span>
          <Action kind="quiet" aria-label={t("dismiss")} onPress={() => dismiss(notice.id)}>
            ✕
          </Action>
        </p>
      ))}
    </div>
  );
}

/** Ctrl+Z and ctrl+shift+Z or ctrl+Y; in a text field they are the field's own. */
function useUndoKeys(dispatch: ReturnType<typeof useSession>["dispatch"]) {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || event.target instanceof HTMLInputElement) return;
      const key = event.key.toLowerCase();
      const isRedo = key === "y" || (key === "z" && event.shiftKey);
      if (!isRedo && key !== "z") return;
      event.preventDefault();
      dispatch({ do: isRedo ? "redo" : "undo" });
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [dispatch]);
}
