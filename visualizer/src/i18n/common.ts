// Texts of the page around the pictures.
import type { Table } from "./texts";

export const common = {
  title: { en: "Galvatron", zh: "Galvatron" },
  language: { en: "Language", zh: "语言" },
  theme: { en: "Theme", zh: "主题" },
  theme_system: { en: "System", zh: "跟随系统" },
  theme_light: { en: "Light", zh: "浅色" },
  theme_dark: { en: "Dark", zh: "深色" },
  copy_link: { en: "Copy link", zh: "复制链接" },
  link_copied: {
    en: "Link copied: it holds everything this page shows.",
    zh: "链接已复制:它包含本页的全部状态。",
  },
  link_in_address: {
    en: "The browser does not let the page copy: the link is in the address bar.",
    zh: "浏览器不允许页面复制:链接在地址栏中。",
  },
  link_without: {
    en: "Too large for a link, so pass these files on beside it: {files}.",
    zh: "以下文件过大,未放入链接,请另行提供:{files}。",
  },
  broken_link: {
    en: "The link is cut off or not of this page: this is the first question instead. Copy the whole link again.",
    zh: "链接不完整或不属于本页,已显示初始问题。请重新复制完整链接。",
  },
  views: { en: "Views", zh: "视图" },
  tab_plan: { en: "Plan", zh: "计划" },
  tab_memory: { en: "Memory", zh: "显存" },
  tab_time: { en: "Time", zh: "时间" },
  tab_search: { en: "Search", zh: "搜索" },
  tab_compare: { en: "Compare", zh: "比较" },
  tab_run: { en: "Run", zh: "训练结果" },
  dismiss: { en: "Dismiss", zh: "关闭" },
  undo: { en: "Undo", zh: "撤销" },
  redo: { en: "Redo", zh: "重做" },
  cancel: { en: "Cancel", zh: "取消" },
  try_again: { en: "Try again", zh: "重试" },
  remove: { en: "Remove {name}", zh: "移除 {name}" },

  one_less: { en: "{name}: one less", zh: "{name}:减一" },
  one_more: { en: "{name}: one more", zh: "{name}:加一" },

  // What is asked.
  question: { en: "Question", zh: "问题" },
  model: { en: "Model", zh: "模型" },
  model_line: {
    en: "{family}, {params} parameters, {layers} layers",
    zh: "{family},{params} 参数,{layers} 层",
  },
  show_all_models: { en: "Show all models", zh: "显示所有模型" },
  numbers_by_hand: { en: "Numbers by hand", zh: "手动设置参数" },
  sizes_by_hand: { en: "Sizes by hand", zh: "手动设置尺寸" },
  cluster: { en: "Cluster", zh: "集群" },
  cluster_help: {
    en: "A name, or nodes x devices x device: network, such as 2x8xA100-40G:25GB/s",
    zh: "名称,或 节点x设备数x设备:网络,例如 2x8xA100-40G:25GB/s",
  },
  show_all_clusters: { en: "Show all clusters", zh: "显示所有集群" },
  hardware_profile: { en: "Measured hardware", zh: "实测硬件" },
  model_profile: { en: "Measured model", zh: "实测模型" },
  option_memory: { en: "Memory", zh: "每设备显存预算" },
  option_global_batch: { en: "Global batch", zh: "全局批次" },
  option_seq_length: { en: "Seq length", zh: "序列长度" },
  option_precision: { en: "Precision", zh: "精度" },
  option_optimizer: { en: "Optimizer", zh: "优化器" },
  option_num_layers: { en: "Num layers", zh: "层数" },
  option_hidden_size: { en: "Hidden size", zh: "隐藏维度" },
  option_num_heads: { en: "Num heads", zh: "注意力头数" },
  option_vocab_size: { en: "Vocab size", zh: "词表大小" },
  more_options: { en: "More options", zh: "更多选项" },
  by_default: { en: "By default", zh: "默认" },
  open_files: { en: "Open files…", zh: "打开文件…" },
  open_run: { en: "Open run folder…", zh: "打开训练目录…" },
  open_help: {
    en: "Or drop them anywhere: a plan (ours or Galvatron-2's), config.json, a profile, a run folder. They stay on this machine.",
    zh: "也可拖放到页面任意位置:计划(本工具或 Galvatron-2 的)、config.json、性能数据、训练目录。文件不会离开本机。",
  },
  drop_here: { en: "Drop to open", zh: "松开以打开" },
  opened: { en: "Opened {name}: {title}", zh: "已打开 {name}:{title}" },
  opened_impossible: {
    en: "{name} is a plan that cannot be here: {reason}",
    zh: "{name} 中的计划在此不可行:{reason}",
  },
  batch_of_plan: {
    en: "The global batch is now {batch}, the plan's.",
    zh: "全局批次现为 {batch},取自该计划。",
  },
  model_of_plan: { en: "The model is now {model}.", zh: "模型现为 {model}。" },
  no_files: {
    en: "Nothing in it that the page can read: it takes JSON files and run folders.",
    zh: "其中没有可读取的内容:请提供 JSON 文件或训练目录。",
  },
  too_large: {
    en: "{name} has {size} MiB, and {limit} MiB is the most that the server takes: is it a plan, a profile or a run?",
    zh: "{name} 有 {size} MiB,服务器最多接受 {limit} MiB:它是计划、性能数据或训练目录吗?",
  },
  unreadable_file: {
    en: "The browser cannot read the file ({reason}): choose it again.",
    zh: "浏览器无法读取该文件({reason}):请重新选择。",
  },

  // The server.
  server_gone: {
    en: "The server does not answer. Start `galvatron visualize` again with the same --port: this page keeps its state and goes on by itself.",
    zh: "服务器无响应。请以相同的 --port 重新启动 `galvatron visualize`:本页保留状态,并会自动继续。",
  },
  server_unreadable: {
    en: "What answers here is not `galvatron visualize` ({said}): check the address.",
    zh: "此处响应的不是 `galvatron visualize`({said}):请检查地址。",
  },

  part_failed: {
    en: "This view has failed, which is an error of ours. Undo the last change, or copy the link and reload the page: it keeps its state.",
    zh: "此视图出错,这是我们的错误。请撤销上一次修改,或复制链接后重新加载页面,状态会保留。",
  },

  // The answer.
  answer: { en: "Answer", zh: "结果" },
  searched_plan: { en: "The searched plan", zh: "搜索得到的计划" },
  earlier_plan: { en: "The plan of an earlier question", zh: "先前问题的计划" },
  shown_plan: { en: "Plan: {name}", zh: "计划:{name}" },
  show_searched: { en: "Show the searched plan", zh: "显示搜索得到的计划" },
  show_closest: { en: "Show the closest miss", zh: "显示最接近的方案" },
  plan_searched: { en: "Searched plan", zh: "搜索得到的计划" },
  plan_closest: { en: "Closest miss", zh: "最接近的方案" },
  plan_edited: { en: "edited", zh: "已编辑" },
  runner_up: { en: "runner-up {place}", zh: "次优计划 {place}" },
  with_recompute: { en: "{name}, recompute", zh: "{name},重计算" },
  plan_impossible: { en: "{name} (cannot be)", zh: "{name}(不可行)" },
  plan_shown: { en: "Shown: {name}", zh: "当前显示:{name}" },
  impossible: { en: "This plan cannot be:", zh: "该计划不可行:" },
  figures_before: {
    en: "Figures of the plan before, which could be:",
    zh: "以下是此前可行计划的数值:",
  },
  against_searched: {
    en: "Against the searched plan: {time} time, {memory} memory.",
    zh: "与搜索得到的计划相比:时间 {time},显存 {memory}。",
  },
  step: { en: "Step", zh: "每步时间" },
  tokens_per_device: { en: "Tokens/s a device", zh: "每设备 token/s" },
  days: { en: "Days", zh: "天数" },
  fullest_rank: { en: "Memory of the fullest", zh: "最满设备的显存" },
  of_budget: { en: "of {budget}", zh: "共 {budget}" },
  in_memory: { en: "In memory", zh: "能否放下" },
  fits: { en: "fits", zh: "放得下" },
  fits_not: { en: "does not fit", zh: "放不下" },
  missing: { en: "{amount} too much", zh: "超出 {amount}" },
  searching: { en: "Searching…", zh: "搜索中…" },
  no_plan_yet: { en: "no plan yet", zh: "尚无计划" },
  best_so_far: { en: "best {time} per sample", zh: "目前最优每样本 {time}" },
  none_below: { en: "none below {time}", zh: "不会低于 {time}" },
  done_of: { en: "{done} of {total}", zh: "已完成 {done},共 {total}" },
  search_cancelled: { en: "The search was cancelled.", zh: "搜索已取消。" },
  search_again: { en: "Search again", zh: "重新搜索" },
  use_budget: { en: "Use this budget: {memory}", zh: "使用该预算:{memory}" },
  beyond_device: {
    en: "A device has {memory}: more devices, or less to hold, is the way out.",
    zh: "单设备只有 {memory}:请增加设备,或减少占用。",
  },
  waiting_for_plan: { en: "Waiting for a plan…", zh: "等待计划…" },

  // The plan.
  plan: { en: "Plan", zh: "计划" },
  strip_title: { en: "Layers and their strategies", zh: "各层及其策略" },
  strip_help: {
    en: "Choose layers by mouse (drag, shift+click) or keyboard (arrows, shift+arrows, ctrl+A), then change what they do. Every change is priced by the planner.",
    zh: "用鼠标(拖动、Shift+点击)或键盘(方向键、Shift+方向键、Ctrl+A)选择层,再修改其策略。每次修改都由规划器重新计算。",
  },
  layers_of_plan: { en: "Layers of the plan", zh: "计划的各层" },
  stage: { en: "Stage {stage}", zh: "阶段 {stage}" },
  stages_alike: { en: "Stages {from}–{to}", zh: "阶段 {from}–{to}" },
  layers_alike: {
    en: "Layers {first} to {last}, one of each stage ({count}), {kind}",
    zh: "第 {first} 至 {last} 层,每阶段一层({count} 层),{kind}",
  },
  stages_together: { en: "Stages that are alike as one", zh: "合并相同的阶段" },
  stages_together_help: {
    en: "A cell then stands for a layer of each of them, and a change reaches all.",
    zh: "一个格子代表其中每个阶段的一层,修改对它们全部生效。",
  },
  layer_name: { en: "Layer {index}, {kind}", zh: "第 {index} 层,{kind}" },
  layer_range: {
    en: "Layers {first} to {last} ({count})",
    zh: "第 {first} 至 {last} 层({count} 层)",
  },
  layers_chosen: { en: "{count} layers", zh: "{count} 层" },
  layer_count: { en: "× {count}", zh: "× {count}" },
  choose_layers_of: {
    en: "Choose the {count} layers with {strategy}",
    zh: "选择策略为 {strategy} 的 {count} 层",
  },
  has_problem: { en: "has a problem", zh: "有问题" },
  layers_left_out: {
    en: "{count} of the {all} chosen layers cannot have it and stay as they are.",
    zh: "所选 {all} 层中有 {count} 层不能采用该值,保持不变。",
  },
  they_differ: { en: "they differ", zh: "不一致" },
  whole_plan: { en: "Whole plan", zh: "整个计划" },
  pp_degree_help: {
    en: "Pipeline ranks: each holds a part of the layers",
    zh: "流水线级数:每一级持有一部分层",
  },
  schedule_help: {
    en: "Order of forward and backward passes",
    zh: "前向与反向计算的顺序",
  },
  microbatches_help: {
    en: "Parts of the batch that pass one after the other",
    zh: "批次被切分后依次通过的份数",
  },
  stage_borders: { en: "Borders of stages", zh: "阶段边界" },
  border_after: {
    en: "Stage {stage} ends with layer {layer}",
    zh: "阶段 {stage} 止于第 {layer} 层",
  },
  border_back: { en: "A layer less in stage {stage}", zh: "阶段 {stage} 减少一层" },
  border_on: { en: "A layer more in stage {stage}", zh: "阶段 {stage} 增加一层" },
  in_words: { en: "In words, as the command line prints it", zh: "文字说明(命令行输出)" },

  // Memory and time.
  memory: { en: "Memory", zh: "显存" },
  memory_title: { en: "Where memory goes", zh: "显存的去向" },
  memory_help: {
    en: "Of the fullest device of each pipeline rank, at its peak within a step, against what a plan may use.",
    zh: "每个流水线级中最满设备在一步内的峰值,与可用显存对比。",
  },
  pipeline_rank: { en: "Pipeline rank", zh: "流水线级" },
  pipeline_rank_of: { en: "Pipeline rank {rank}: {total}", zh: "流水线级 {rank}:{total}" },
  over_time_title: { en: "Over one step", zh: "一步之内" },
  over_time_help: {
    en: "From the simulated step: what is alive when, and at the peak.",
    zh: "来自模拟的一步:何时占用哪些显存,以及峰值时的构成。",
  },
  treemap_title: { en: "Down to tensors", zh: "细到张量" },
  treemap_help: { en: "Part, then layer, then tensor.", zh: "先按类别,再按层,再按张量。" },
  time_title: { en: "Where time goes", zh: "时间的去向" },
  time_help: {
    en: "One step, seen from the stage that computes longest.",
    zh: "一步的时间,从计算最久的阶段来看。",
  },
  step_formula: { en: "Step by formula", zh: "公式计算的步时间" },
  step_simulated: { en: "Step as simulated", zh: "模拟的步时间" },
  hidden_behind_compute: { en: "Communication hidden behind compute", zh: "被计算掩盖的通信" },
  timeline_title: { en: "Timeline of a step", zh: "一步的时间线" },
  timeline_help: {
    en: "As simulated: each row a pipeline rank, its transfers and its collectives.",
    zh: "由模拟得到:每个流水线级的计算、传输与集合通信。",
  },

  lanes_count: { en: "Pipeline ranks drawn", zh: "绘出的流水线级数" },
  lanes_all: { en: "all {count}", zh: "全部 {count}" },
  lanes_from: { en: "From rank", zh: "起始级" },
  lanes_shown: {
    en: "Pipeline ranks {from} to {to} of {all} are drawn.",
    zh: "绘出第 {from} 至 {to} 级,共 {all} 级。",
  },

  // Search.
  search_title: { en: "The best plan", zh: "最优计划" },
  per_step: { en: "per step", zh: "每步" },
  as_command_line: { en: "As the command line prints it", zh: "命令行输出" },
  export_plan: { en: "Export plan.json", zh: "导出 plan.json" },
  baselines_title: { en: "What people set by hand", zh: "手动配置的方案" },
  baselines_help: {
    en: "Each tuned as far as it goes: plain data parallelism, FSDP (ZeRO-3), Megatron.",
    zh: "每种方案都已尽力调优:数据并行、FSDP(ZeRO-3)、Megatron。",
  },
  by_hand: { en: "By hand", zh: "手动" },
  runners_up_title: { en: "Runner-ups", zh: "次优计划" },
  runners_up_help: {
    en: "The best plans of another shape, and what each loses to the one found.",
    zh: "其他形态的最优计划,以及各自的损失所在。",
  },
  show: { en: "Show", zh: "显示" },
  show_named: { en: "Show {name}", zh: "显示 {name}" },
  compare: { en: "Compare", zh: "比较" },
  compare_named: { en: "Compare {name} with the searched plan", zh: "将 {name} 与搜索结果比较" },
  prices_title: { en: "What more would give", zh: "更多资源的收益" },
  prices_help: {
    en: "One thing better, searched again.",
    zh: "改善一项条件后重新搜索。",
  },
  with: { en: "With", zh: "条件" },
  certificate_title: { en: "How sure that is", zh: "结论的可靠程度" },
  certificate_help: {
    en: "The search proves a bound: no plan of its space is faster than it.",
    zh: "搜索给出下界证明:搜索空间内没有更快的计划。",
  },
  all_too_large: {
    en: "The search looked at {all} candidates, and {large} of them are too large: no plan of its space fits.",
    zh: "搜索考察了 {all} 个候选,其中 {large} 个超出显存:搜索空间内没有放得下的计划。",
  },
  left_out: { en: "What this space leaves out", zh: "搜索空间未包含的内容" },
  frontier_title: { en: "What is memory worth?", zh: "显存的价值" },
  frontier_help: {
    en: "The best step for every budget of memory, by many searches.",
    zh: "多次搜索得到每种显存预算下的最快步时间。",
  },
  of_another_question: {
    en: "This is the answer to an earlier question.",
    zh: "这是先前问题的结果。",
  },
  by_hand_line: { en: "By hand: {steps}.", zh: "手动方案:{steps}。" },
  by_hand_misses: { en: "Do not fit: {names}.", zh: "放不下:{names}。" },
  why_nothing: { en: "Why nothing fits", zh: "为何放不下" },
  why: { en: "Why this plan", zh: "为何是该计划" },
  draw_frontier: { en: "Draw the frontier", zh: "绘制前沿" },
  sweep_title: { en: "Which batch?", zh: "批次大小" },
  sweep_help: {
    en: "The best plan for each global batch.",
    zh: "每种全局批次大小的最优计划。",
  },
  batches: { en: "Batches (32,64 or 16:128:16)", zh: "批次(32,64 或 16:128:16)" },
  run_sweep: { en: "Compare batches", zh: "比较批次" },

  // Compare.
  compare_title: { en: "Two plans side by side", zh: "两个计划对比" },
  compare_help: {
    en: "Any two of: the plan shown, the searched one, runner-ups, baselines, dropped files.",
    zh: "可选:当前计划、搜索结果、次优计划、手动方案、拖入的文件。",
  },
  one_plan: { en: "This plan", zh: "这个计划" },
  other_plan: { en: "against", zh: "对比" },
  swap: { en: "Swap them", zh: "互换" },
  compare_needs_two: {
    en: "Choose two different plans: drop one, or change the plan shown.",
    zh: "请选择两个不同的计划:拖入一个,或修改当前计划。",
  },
  where_they_differ: { en: "Where they differ", zh: "不同之处" },
  in_what: { en: "In", zh: "字段" },
  faster_of_two: {
    en: "{winner} is the faster: {most} tokens/s, and {loser} {least}.",
    zh: "{winner} 更快:{most} token/s,{loser} 为 {least} token/s。",
  },
  same_strategies: { en: "All layers have the same strategies.", zh: "所有层的策略相同。" },

  // A run.
  run_title: { en: "Run", zh: "训练结果" },
  run_waiting: {
    en: "The run has not written a step yet. It is shown here as soon as it has.",
    zh: "训练尚未写出任何一步,写出后会立即显示在这里。",
  },
  run_lost: {
    en: "What the run had written is gone: its folder holds no step any more.",
    zh: "训练已写出的内容不见了:目录中不再有任何一步。",
  },
  run_as_read_last: {
    en: "Below is the run as it was read last. This page asks again.",
    zh: "以下是最后一次读到的训练结果。本页会继续读取。",
  },
  run_help: {
    en: "Open the folder that `galvatron train` wrote.",
    zh: "打开 `galvatron train` 写出的目录。",
  },
} satisfies Table;
