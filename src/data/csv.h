// Tables in text: CSV and its relatives, one Literal a column.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tenon/data.h"

namespace tenon::data {

/// Columns of the same length.
struct Table {
  std::vector<std::string> names;
  std::vector<Literal> columns;  // each of rank 1
  std::int64_t rows() const { return columns.empty() ? 0 : columns[0].size(); }
  /// kNotFound names the columns that there are.
  Result<Literal> column(std::string_view name) const;
  /// Numeric columns side by side: [rows, columns] of `dtype` (f32 or f64); all of them when `names` is empty.
  /// kInvalidArgument when one is of strings.
  Result<Literal> matrix(const std::vector<std::string>& names = {}, DType dtype = DType::kF32) const;
};

/// RFC 4180: fields in "quotes" may hold delimiters, line ends and doubled quotes; lines end with LF or CRLF; empty
/// lines and a byte order mark are skipped. Without a header columns are "0", "1", …; a header with one name less than
/// there are fields leaves the first column "index", as R writes it. A column is i64 when every field is an integer,
/// `floats` when every field is a number or missing (missing: NaN), else kString (missing: ""). With a dtype of its own
/// (bool, integers, floats, string) a field that does not fit is an error. Errors are kInvalidArgument and start with
/// "file:line: ".
Result<Table> ParseCsv(std::string_view text, std::string_view where, const CsvOptions& options = {});
/// A file, plain or gzipped.
Result<Table> ReadCsv(const std::string& path, const CsvOptions& options = {});

/// Each string replaced by its place in the sorted list of the different ones: i64 codes of the same dims, and the
/// list. Throws kInvalidArgument unless `strings` is kString.
std::pair<Literal, std::vector<std::string>> Categories(const Literal& strings);

}  // namespace tenon::data
