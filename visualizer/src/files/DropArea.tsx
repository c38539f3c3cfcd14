// Files dropped anywhere on the page are opened; for keyboards there are buttons (OpenFiles).
import { type DragEvent, type ReactNode, useRef } from "react";
import { FileTrigger } from "react-aria-components";
import { useDrop } from "react-aria-components/useDrop";
import { useText } from "../i18n/useText";
import { Action } from "../kit/controls";
import { readChosen, readDropped } from "./read";
import { useOpenFiles } from "./useOpenFiles";

export function DropArea({ children }: { children: ReactNode }) {
  const t = useText();
  const area = useRef<HTMLDivElement>(null);
  const open = useOpenFiles();
  // What has no entry in a file system (attachments of a mail) is a file all the same: the kit leaves it out.
  const plain = useRef<File[]>([]);
  const { dropProps, isDropTarget } = useDrop({
    ref: area,
    onDrop: ({ items }) => {
      const files = plain.current;
      void open((limit) =>
        items.length > 0 ? readDropped(items, limit) : readChosen(files, limit),
      );
    },
  });
  // The kit's props make the area a target of dragging by keyboard, which files are never.
  const { onDragEnter, onDragOver, onDragLeave, onDrop } = dropProps;
  const keepFiles = (event: DragEvent<HTMLDivElement>) => {
    plain.current = [...event.dataTransfer.files];
    onDrop?.(event);
  };
  const handlers = { onDragEnter, onDragOver, onDragLeave, onDrop: keepFiles };
  return (
    <div ref={area} className="drop-area" {...handlers}>
      {children}
      {isDropTarget && <div className="drop-hint">{t("drop_here")}</div>}
    </div>
  );
}

export function OpenFiles() {
  const t = useText();
  const open = useOpenFiles();
  const read = (chosen: FileList | null) => {
    const files = [...(chosen ?? [])];
    if (files.length > 0) void open((limit) => readChosen(files, limit));
  };
  return (
    <div className="row">
      <FileTrigger allowsMultiple onSelect={read}>
        <Action>{t("open_files")}</Action>
      </FileTrigger>
      <FileTrigger acceptDirectory onSelect={read}>
        <Action>{t("open_run")}</Action>
      </FileTrigger>
    </div>
  );
}
