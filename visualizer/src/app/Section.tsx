import { type ReactNode, Suspense, useId } from "react";

/** A part of the page under its heading. */
export function Section(props: {
  title: string;
  help?: string;
  tools?: ReactNode;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <section className="section" aria-labelledby={id}>
      <div className="section-head">
        <h2 id={id}>{props.title}</h2>
        {props.tools}
      </div>
      {props.help && <p className="help">{props.help}</p>}
      <Suspense fallback={<div className="picture-place" />}>{props.children}</Suspense>
    </section>
  );
}
