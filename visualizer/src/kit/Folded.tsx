import type { ReactNode } from "react";
import { Button, Disclosure, DisclosurePanel, Heading } from "react-aria-components";

/** Folded away until asked for. */
export function Folded(props: { title: string; open?: boolean; children: ReactNode }) {
  return (
    <Disclosure className="folded" defaultExpanded={props.open}>
      <Heading level={3}>
        <Button slot="trigger" className="fold">
          <span className="arrow" aria-hidden="true">
            ▸
          </span>
          {props.title}
        </Button>
      </Heading>
      <DisclosurePanel className="fold-panel">{props.children}</DisclosurePanel>
    </Disclosure>
  );
}
