import { useText } from "../i18n/useText";
import { SearchChoice } from "../kit/SearchChoice";
import { firstDocument } from "../state/page";
import { useSession } from "../state/session";
import { GivenFile } from "./ModelInput";

export function MachineInput() {
  const t = useText();
  const { page, start, dispatch } = useSession();
  const { cluster, hardware, profile } = page.document;
  const choose = (name: string) =>
    dispatch({ do: "edit", document: { cluster: { name, content: null } } });
  const row = start?.clusters.find((one) => one.name === cluster?.name);
  const byName = !cluster?.content && !hardware;
  return (
    <>
      {byName && (
        <SearchChoice
          free
          label={t("cluster")}
          showAll={t("show_all_clusters")}
          options={(start?.clusters ?? []).map((one) => ({
            key: one.name,
            text: one.name,
            help: one.text,
          }))}
          value={cluster?.name ?? ""}
          onChange={choose}
          description={row?.text ?? t("cluster_help")}
        />
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
