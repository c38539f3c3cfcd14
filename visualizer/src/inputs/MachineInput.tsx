import type { ClusterRow } from "../api/types";
import { useText } from "../i18n/useText";
import { Folded } from "../kit/Folded";
import { SearchChoice } from "../kit/SearchChoice";
import { firstDocument } from "../state/page";
import { useSession } from "../state/session";
import { GivenFile } from "./ModelInput";
import { OptionFields } from "./OptionFields";
import { clusterOptions } from "./optionRows";

export function MachineInput() {
  const t = useText();
  const { page, start, dispatch } = useSession();
  const { cluster, hardware, profile } = page.document;
  const choose = (name: string) =>
    dispatch({ do: "edit", document: { cluster: { name, content: null } } });
  const row = start?.clusters.find((one) => one.name === cluster?.name);
  const numbers = start ? clusterOptions(start) : [];
  const byName = !cluster?.content && !hardware;
  return (
    <>
      {byName && (
        <SearchChoice
          label={t("cluster")}
          showAll={t("show_all_clusters")}
          options={(start?.clusters ?? []).map((one) => ({
            key: one.name,
            text: one.name,
            help: firstLine(one),
          }))}
          value={cluster?.name ?? ""}
          onChange={choose}
          description={row ? firstLine(row) : t("cluster_help")}
        />
      )}
      {start && cluster && (
        <Folded
          title={t("numbers_by_hand")}
          open={numbers.some((name) => name in page.document.options)}
        >
          {row && <p className="help">{row.text}</p>}
          <OptionFields names={numbers} />
        </Folded>
      )}
      {cluster?.content && (
        <GivenFile
          label={t("cluster")}
          name={cluster.name}
          onRemove={() => dispatch({ do: "edit", document: { cluster: firstDocument.cluster } })}
        />
      )}
      {hardware && (
        <GivenFile
          label={t("hardware_profile")}
          name={hardware.name}
          onRemove={() =>
            dispatch({
              do: "edit",
              document: { hardware: null, cluster: cluster ?? firstDocument.cluster },
            })
          }
        />
      )}
      {profile && (
        <GivenFile
          label={t("model_profile")}
          name={profile.name}
          onRemove={() => dispatch({ do: "edit", document: { profile: null } })}
        />
      )}
    </>
  );
}

/** "1 x 8 NVIDIA A100 40GB SXM": the text begins with the name. */
function firstLine(row: ClusterRow): string {
  const [line = ""] = row.text.split("\n");
  return line.replace(`${row.name}: `, "");
}
