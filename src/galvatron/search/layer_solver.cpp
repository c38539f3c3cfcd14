#include "galvatron/search/layer_solver.h"

#include <algorithm>

#include "galvatron/base/error.h"

namespace galvatron::search {
namespace {

template <typename Label>
bool dominates(const Label& a, const Label& b) {
  return a.time <= b.time && a.time2 <= b.time2 && a.once <= b.once && a.peak <= b.peak &&
         a.sum <= b.sum && a.last_layout == b.last_layout;
}

// Of equally fast ones the leaner is the faster.
bool faster(const StageChoice& a, const StageChoice& b) {
  if (a.time == b.time && a.time2 == b.time2 && a.once == b.once) return a.bytes <= b.bytes;
  return a.time <= b.time && a.time2 <= b.time2 && a.once <= b.once;
}

}  // namespace

StageTree::StageTree(const StageTables& tables, const StageLimits& limits)
    : tables_(tables), limits_(limits) {
  nodes_.emplace_back();
  for (const auto& row : tables.pair) {
    for (const auto& pairs : row) {
      for (const PairTransient& pair : pairs) {
        for (const std::int64_t bytes : pair.bytes) {
          largest_transient_ = std::max(largest_transient_, bytes);
        }
      }
    }
  }
}

int StageTree::child(int node, int type) {
  auto& children = nodes_[static_cast<std::size_t>(node)].children;
  if (children.empty()) children.assign(tables_.options.size(), -1);
  const auto t = static_cast<std::size_t>(type);
  if (children[t] >= 0) return children[t];
  const int added = static_cast<int>(nodes_.size());
  children[t] = added;
  Node next;
  next.parent = node;
  next.type = type;
  next.depth = nodes_[static_cast<std::size_t>(node)].depth + 1;
  nodes_.push_back(std::move(next));
  return added;
}

bool StageTree::within_limits(const Label& label) const {
  return label.peak <= tables_.capacity && label.time <= limits_.time &&
         label.time2 <= limits_.time2 && label.once <= limits_.once;
}

// Once V is larger than any transient to come, only the peak matters: labels that differ in `sum`
// alone become equal.
void StageTree::add(std::vector<Label>& labels, const Label& label) const {
  if (!within_limits(label)) return;
  Label one = label;
  one.sum = std::max(one.sum, one.peak - largest_transient_ - 1);
  one.sum = std::min(one.sum, one.peak);
  for (const Label& other : labels) {
    if (dominates(other, one)) return;
  }
  std::erase_if(labels, [&](const Label& other) { return dominates(one, other); });
  labels.push_back(one);
}

StageTree::Labels StageTree::extend(int node, bool is_first) {
  const Node& here = nodes_[static_cast<std::size_t>(node)];
  const auto type = static_cast<std::size_t>(here.type);
  const auto& options = tables_.options[type];
  Labels out(options.size());
  const bool is_last = here.parent == kRoot;
  for (std::size_t a = 0; a < options.size(); ++a) {
    const LayerOption& option = options[a];
    if (is_last) {
      Label label{option.fixed, option.fixed + option.kept + tables_.alone[type][a],
                  option.time,  option.time2,
                  option.once,  option.layout,
                  -1,           -1};
      add(out[a], label);
      continue;
    }
    const Node& behind = nodes_[static_cast<std::size_t>(here.parent)];
    const auto next_type = static_cast<std::size_t>(behind.type);
    const auto& next_options = tables_.options[next_type];
    const auto& pairs = tables_.pair[type][next_type];
    const bool next_is_last = behind.parent == kRoot;
    const std::size_t flags = (is_first ? 2u : 0u) + (next_is_last ? 1u : 0u);
    for (std::size_t b = 0; b < next_options.size(); ++b) {
      const std::int64_t transient = pairs[a * next_options.size() + b].bytes[flags];
      const auto moved =
          static_cast<std::size_t>(option.layout * tables_.num_layouts + next_options[b].layout);
      const auto& labels = behind.open[b];
      for (std::size_t i = 0; i < labels.size(); ++i) {
        const Label& next = labels[i];
        Label label;
        label.sum = next.sum + option.fixed;
        label.peak = option.fixed + option.kept + std::max(next.sum + transient, next.peak);
        label.time = next.time + option.time + tables_.transition[moved];
        label.time2 = next.time2 + option.time2 + tables_.transition2[moved];
        label.once = next.once + option.once;
        label.last_layout = next.last_layout;
        label.next_option = static_cast<int>(b);
        label.next_label = static_cast<int>(i);
        add(out[a], label);
      }
    }
  }
  for (auto& labels : out) {
    trim(labels);
    num_labels_ += static_cast<std::int64_t>(labels.size());
  }
  return out;
}

// The cheapest, the leanest, and others evenly between them by memory.
void StageTree::trim(std::vector<Label>& labels) {
  if (labels.size() <= limits_.max_labels) return;
  exact_ = false;
  const auto cost = [&](const Label& label) {
    return label.time + label.time2 + limits_.once_weight * label.once;
  };
  // Of equal or larger memory only the cheapest so far.
  std::sort(labels.begin(), labels.end(), [&](const Label& a, const Label& b) {
    return a.peak != b.peak ? a.peak < b.peak : cost(a) < cost(b);
  });
  std::vector<Label> line;
  for (const Label& label : labels) {
    if (line.empty() || cost(label) < cost(line.back())) line.push_back(label);
  }
  const std::size_t wanted = limits_.max_labels;
  std::vector<Label> kept;
  for (std::size_t i = 0; i < wanted && !line.empty(); ++i) {
    const std::size_t at = wanted == 1 ? line.size() - 1 : i * (line.size() - 1) / (wanted - 1);
    if (i > 0 && at == (i - 1) * (line.size() - 1) / (wanted - 1)) continue;
    kept.push_back(line[at]);
  }
  labels = std::move(kept);
}

void StageTree::open(int node) {
  if (node == kRoot || nodes_[static_cast<std::size_t>(node)].opened) return;
  open(nodes_[static_cast<std::size_t>(node)].parent);
  Labels labels = extend(node, false);
  Node& here = nodes_[static_cast<std::size_t>(node)];
  here.open = std::move(labels);
  here.opened = true;
}

void StageTree::close(int node) {
  GALV_CHECK(node != kRoot, "a stage without layers");
  open(nodes_[static_cast<std::size_t>(node)].parent);
  Labels labels = extend(node, true);
  Node& here = nodes_[static_cast<std::size_t>(node)];
  here.close = std::move(labels);
  here.closed = true;
  const auto& options = tables_.options[static_cast<std::size_t>(here.type)];
  for (std::size_t a = 0; a < here.close.size(); ++a) {
    for (std::size_t i = 0; i < here.close[a].size(); ++i) {
      const Label& label = here.close[a][i];
      const StageChoice one{label.time, label.time2,         label.once,
                            label.peak, options[a].layout,   label.last_layout,
                            node,       static_cast<int>(a), static_cast<int>(i)};
      const auto same_ends = [&](const StageChoice& other) {
        return other.first_layout == one.first_layout && other.last_layout == one.last_layout;
      };
      if (std::any_of(here.choices.begin(), here.choices.end(), [&](const StageChoice& other) {
            return same_ends(other) && faster(other, one);
          })) {
        continue;
      }
      std::erase_if(here.choices, [&](const StageChoice& other) {
        return same_ends(other) && faster(one, other);
      });
      here.choices.push_back(one);
    }
  }
}

const std::vector<StageChoice>& StageTree::choices(int node) {
  if (!nodes_[static_cast<std::size_t>(node)].closed) close(node);
  return nodes_[static_cast<std::size_t>(node)].choices;
}

std::vector<int> StageTree::options_of(const StageChoice& choice) const {
  std::vector<int> out;
  const Node* node = &nodes_[static_cast<std::size_t>(choice.node)];
  const Label* label =
      &node->close[static_cast<std::size_t>(choice.option)][static_cast<std::size_t>(choice.label)];
  int option = choice.option;
  while (true) {
    out.push_back(
        tables_.options[static_cast<std::size_t>(node->type)][static_cast<std::size_t>(option)].id);
    if (label->next_option < 0) return out;
    option = label->next_option;
    const int index = label->next_label;
    node = &nodes_[static_cast<std::size_t>(node->parent)];
    label = &node->open[static_cast<std::size_t>(option)][static_cast<std::size_t>(index)];
  }
}

}  // namespace galvatron::search
