// A table of answers for people and for programs: the same cells as aligned text, CSV, JSON and
// HTML.
#pragma once
#include <string>
#include <vector>

#include "galvatron/base/json.h"

namespace galvatron::planning {

struct ResultColumn {
  std::string key;   // of CSV and JSON, with the unit: "step_ms"
  std::string head;  // above what people read; empty: the column is for programs alone
  bool left = false;
};

struct ResultCell {
  OrderedJson value;  // for programs; null: there is none
  std::string text;   // for people
};

class ResultTable {
 public:
  explicit ResultTable(std::vector<ResultColumn> columns) : columns_(std::move(columns)) {}
  void add_row(std::vector<ResultCell> cells);
  bool empty() const { return rows_.empty(); }

  const std::vector<ResultColumn>& columns() const { return columns_; }
  const std::vector<std::vector<ResultCell>>& rows() const { return rows_; }
  // Columns that people read: those with a head and something below it.
  std::vector<std::size_t> shown() const;

  std::string to_text() const;  // lines end in '\n'
  std::string to_csv() const;   // RFC 4180, a line of keys first
  OrderedJson to_json() const;  // [{key: value, ...}]
  std::string to_html() const;  // <table>...</table>

 private:
  std::vector<ResultColumn> columns_;
  std::vector<std::vector<ResultCell>> rows_;
};

// Text between tags, or in an attribute.
std::string escape_markup(const std::string& text);

}  // namespace galvatron::planning
