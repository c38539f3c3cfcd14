// The frame of each picture: the picture or its table, and what saves it. Headings are the page's.
import { type ReactNode, type RefObject, useState } from "react";
import { Button, Menu, MenuItem, MenuTrigger, Popover, ToggleButton } from "react-aria-components";
import { saveBlob, saveText } from "../files/save";
import type { Saver } from "./EChart";
import "./pictures.css";
import { fileName } from "./save";
import { csv, type Table } from "./table";
import { TableView } from "./TableView";
import { useWords } from "./useWords";

interface Props {
  /** For screen readers and names of files; seen too with `heading`. */
  title: string;
  heading?: boolean;
  hint?: string;
  /** Null: there is nothing to draw, which is said. */
  table: Table | null;
  saver: RefObject<Saver | null>;
  /** Switches of this picture, beside those that each has. */
  controls?: ReactNode;
  children: ReactNode;
}

export function Figure({ title, heading, hint, table, saver, controls, children }: Props) {
  const { t } = useWords();
  const [asTable, setAsTable] = useState(false);
  return (
    <figure className="picture" aria-label={title}>
      <div className="picture-head">
        {heading && <h3>{title}</h3>}
        {table && hint && !asTable && <p className="help">{hint}</p>}
        {table && (
          <div className="picture-controls">
            {!asTable && controls}
            <ToggleButton className="action quiet" isSelected={asTable} onChange={setAsTable}>
              {t("as_table")}
            </ToggleButton>
            <SaveMenu title={title} table={table} saver={saver} withImages={!asTable} />
          </div>
        )}
      </div>
      {!table && <p className="help">{t("nothing_to_draw")}</p>}
      {table && (asTable ? <TableView title={title} table={table} /> : children)}
    </figure>
  );
}

interface SaveProps {
  title: string;
  table: Table;
  saver: RefObject<Saver | null>;
  withImages: boolean;
}

function SaveMenu({ title, table, saver, withImages }: SaveProps) {
  const { t } = useWords();
  const name = fileName(title);
  async function save(kind: string) {
    if (kind === "csv") return saveText(`${name}.csv`, "text/csv", csv(table));
    if (kind !== "png" && kind !== "svg") return;
    const blob = await saver.current?.image(kind);
    if (blob) saveBlob(`${name}.${kind}`, blob);
  }
  return (
    <MenuTrigger>
      <Button className="action quiet" aria-label={t("save_named", { name: title })}>
        {t("save_picture")} <span aria-hidden="true">▾</span>
      </Button>
      <Popover className="popover" placement="bottom end">
        <Menu onAction={(key) => void save(String(key))}>
          {withImages && <SaveItem id="png" text={t("save_png")} />}
          {withImages && <SaveItem id="svg" text={t("save_svg")} />}
          <SaveItem id="csv" text={t("save_csv")} />
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}

function SaveItem({ id, text }: { id: string; text: string }) {
  return (
    <MenuItem id={id} className="item">
      {text}
    </MenuItem>
  );
}
