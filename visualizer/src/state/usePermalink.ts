import { useEffect, useState } from "react";
import type { Page } from "./page";
import { type Link, toLink } from "./permalink";

const rest = 300;

/** Keeps the address of the page at its state: reloading or passing it on loses nothing. */
export function usePermalink({ document, view }: Page): Link | null {
  const [link, setLink] = useState<Link | null>(null);
  useEffect(() => {
    let isOld = false;
    const timer = setTimeout(async () => {
      const next = await toLink({ document, view });
      if (isOld) return;
      setLink(next);
      window.history.replaceState(null, "", `#${next.fragment}`);
    }, rest);
    return () => {
      isOld = true;
      clearTimeout(timer);
    };
  }, [document, view]);
  return link;
}
