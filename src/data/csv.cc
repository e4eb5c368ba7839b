#include "data/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <deque>
#include <limits>

#include "base/gzip.h"
#include "base/status_macros.h"

namespace tenon::data {
namespace {

using Fields = std::vector<std::string_view>;
struct Line {
  std::size_t number = 0;  // in the file, from 1
  Fields fields;
};

class Splitter {
 public:
  Splitter(std::string_view text, std::string_view where, const CsvOptions& options)
      : text_(text), where_(where), options_(options) {
    if (text_.starts_with("\xef\xbb\xbf")) text_.remove_prefix(3);
  }
  /// All lines with a field. The fields are views of the text or of this object.
  Result<std::vector<Line>> Split() {
    std::vector<Line> lines;
    while (!text_.empty()) {
      if (options_.comment != '\0' && text_[0] == options_.comment) {
        text_.remove_prefix(std::min(text_.find('\n'), text_.size() - 1) + 1);
        ++number_;
        continue;
      }
      if (AtLineEnd()) {
        TakeLineEnd();
        continue;
      }
      Line line{number_, {}};
      TENON_RETURN_IF_ERROR(TakeLine(line));
      if (!line.fields.empty()) lines.push_back(std::move(line));
    }
    return lines;
  }

 private:
  bool Spaces() const { return options_.delimiter == ' '; }
  bool AtDelimiter() const {
    if (text_.empty()) return false;
    return Spaces() ? text_[0] == ' ' || text_[0] == '\t' : text_[0] == options_.delimiter;
  }
  bool AtLineEnd() const { return text_.empty() || text_[0] == '\n' || text_.starts_with("\r\n"); }
  void TakeLineEnd() {
    if (!text_.empty()) text_.remove_prefix(text_[0] == '\r' ? 2 : 1);
    ++number_;
  }
  void SkipSpaces() {
    while (Spaces() && AtDelimiter()) text_.remove_prefix(1);
  }
  Status TakeLine(Line& line) {
    SkipSpaces();
    while (!(Spaces() && AtLineEnd())) {
      TENON_ASSIGN_OR_RETURN(const std::string_view field, TakeField(line.number));
      line.fields.push_back(field);
      if (AtLineEnd()) break;
      text_.remove_prefix(1);
      SkipSpaces();
    }
    TakeLineEnd();
    return {};
  }
  Result<std::string_view> TakeField(std::size_t line) {
    if (!text_.empty() && text_[0] == '"') return TakeQuoted(line);
    std::size_t end = 0;
    const std::string_view all = text_;
    while (!AtDelimiter() && !AtLineEnd()) {
      text_.remove_prefix(1);
      ++end;
    }
    return all.substr(0, end);
  }
  Result<std::string_view> TakeQuoted(std::size_t line) {
    text_.remove_prefix(1);
    const std::string_view all = text_;
    std::string* joined = nullptr;  // the field, once it has a doubled quote
    std::size_t start = 0;
    for (;;) {
      const std::size_t quote = all.find('"', start);
      if (quote == std::string_view::npos)
        return Status(Code::kInvalidArgument, Where(line) + "a field starts with a quote that is never closed");
      const std::string_view piece = all.substr(start, quote - start);
      number_ += static_cast<std::size_t>(std::count(piece.begin(), piece.end(), '\n'));
      const bool doubled = quote + 1 < all.size() && all[quote + 1] == '"';
      if (doubled && joined == nullptr) joined = &owned_.emplace_back();
      if (joined != nullptr) joined->append(piece);
      text_ = all.substr(quote + 1);
      if (!doubled) {
        if (!AtDelimiter() && !AtLineEnd())
          return Status(Code::kInvalidArgument, Where(number_) +
                                                    "got text after the closing quote of a field, expected "
                                                    "a delimiter; a quote inside of quotes is doubled");
        return joined != nullptr ? std::string_view(*joined) : piece;
      }
      *joined += '"';
      start = quote + 2;
    }
  }
  std::string Where(std::size_t line) const { return std::string(where_) + ":" + std::to_string(line) + ": "; }

  std::string_view text_, where_;
  const CsvOptions& options_;
  std::size_t number_ = 1;
  std::deque<std::string> owned_;
};

std::string_view Trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

template <class T>
std::optional<T> Number(std::string_view field) {
  std::string_view s = Trim(field);
  if (s.starts_with('+') && !s.starts_with("+-")) s.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
  if (std::is_floating_point_v<T> && error == std::errc::result_out_of_range)  // as strtod: the nearest, 0 or infinity
    return static_cast<T>(std::strtod(std::string(s).c_str(), nullptr));
  if (error != std::errc() || end != s.data() + s.size()) return std::nullopt;
  return value;
}

std::optional<bool> Boolean(std::string_view field) {
  const std::string_view s = Trim(field);
  if (s == "1" || s == "true" || s == "True" || s == "TRUE") return true;
  if (s == "0" || s == "false" || s == "False" || s == "FALSE") return false;
  return std::nullopt;
}

class ColumnBuilder {
 public:
  ColumnBuilder(const std::vector<Line>& lines, std::size_t index, const std::string& name, std::string_view where,
                const CsvOptions& options)
      : lines_(lines), index_(index), name_(name), where_(where), options_(options) {}

  Result<Literal> Build() const {
    const auto wanted = options_.dtypes.find(name_);
    const DType dtype = wanted != options_.dtypes.end() ? wanted->second : Infer();
    switch (dtype) {
      case DType::kBool:
        return Fill<bool>();
      case DType::kI8:
        return Fill<std::int8_t>();
      case DType::kI16:
        return Fill<std::int16_t>();
      case DType::kI32:
        return Fill<std::int32_t>();
      case DType::kI64:
        return Fill<std::int64_t>();
      case DType::kU8:
        return Fill<std::uint8_t>();
      case DType::kU16:
        return Fill<std::uint16_t>();
      case DType::kU32:
        return Fill<std::uint32_t>();
      case DType::kU64:
        return Fill<std::uint64_t>();
      case DType::kF32:
        return Fill<float>();
      case DType::kF64:
        return Fill<double>();
      case DType::kString:
        return Strings();
      default:
        return Status(Code::kInvalidArgument, std::string(where_) + ": column \"" + name_ + "\": got dtype " +
                                                  std::string(dtype_name(dtype)) +
                                                  ", expected bool, an integer, f32, f64 or string");
    }
  }

 private:
  std::string_view Field(const Line& line) const { return line.fields[index_]; }
  bool Missing(std::string_view field) const {
    return std::find(options_.missing.begin(), options_.missing.end(), Trim(field)) != options_.missing.end();
  }
  DType Infer() const {
    bool integers = true;
    for (const Line& line : lines_) {
      if (Missing(Field(line))) {
        integers = false;
      } else if (!integers || !Number<std::int64_t>(Field(line))) {
        integers = false;
        if (!Number<double>(Field(line))) return DType::kString;
      }
    }
    return integers && !lines_.empty() ? DType::kI64 : options_.floats;
  }
  template <class T>
  Result<Literal> Fill() const {
    Literal out = Literal::uninitialized(DTypeOf<T>::value, {static_cast<std::int64_t>(lines_.size())});
    const std::span<T> to = out.mutable_data<T>();
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      const std::string_view field = Field(lines_[i]);
      std::optional<T> value;
      if constexpr (std::same_as<T, bool>) {
        value = Boolean(field);
      } else if constexpr (std::is_floating_point_v<T>) {
        value = Missing(field) ? std::numeric_limits<T>::quiet_NaN() : Number<T>(field);
      } else {
        value = Number<T>(field);
      }
      if (!value)
        return Status(Code::kInvalidArgument, std::string(where_) + ":" + std::to_string(lines_[i].number) +
                                                  ": column \"" + name_ + "\": got \"" +
                                                  std::string(field.substr(0, 60)) + "\", expected " +
                                                  std::string(dtype_name(DTypeOf<T>::value)));
      to[i] = *value;
    }
    return out;
  }
  Literal Strings() const {
    Literal out(DType::kString, {static_cast<std::int64_t>(lines_.size())});
    std::vector<std::string>& to = out.mutable_strings();
    for (std::size_t i = 0; i < lines_.size(); ++i)
      if (!Missing(Field(lines_[i]))) to[i] = Field(lines_[i]);
    return out;
  }
  const std::vector<Line>& lines_;
  std::size_t index_;
  const std::string& name_;
  std::string_view where_;
  const CsvOptions& options_;
};

}  // namespace

Result<Table> ParseCsv(std::string_view text, std::string_view where, const CsvOptions& options) {
  const std::string file(where);
  if (options.delimiter == '"' || options.delimiter == '\n' || options.delimiter == '\r')
    return Status(Code::kInvalidArgument, file + ": a quote or line end cannot be the delimiter");
  Splitter splitter(text, where, options);
  TENON_ASSIGN_OR_RETURN(std::vector<Line> lines, splitter.Split());
  if (lines.empty()) return Status(Code::kInvalidArgument, file + ": has no lines");
  const auto is_number = [](std::string_view field) { return Number<double>(field).has_value(); };
  const Fields& first = lines[0].fields;
  const bool header = options.header == CsvHeader::kYes ||
                      (options.header == CsvHeader::kAuto && std::none_of(first.begin(), first.end(), is_number));
  Table table;
  if (header) {
    for (const std::string_view name : first) table.names.emplace_back(Trim(name));
    lines.erase(lines.begin());
    if (!lines.empty() && lines[0].fields.size() == table.names.size() + 1)
      table.names.insert(table.names.begin(), "index");
  } else {
    for (std::size_t i = 0; i < first.size(); ++i) table.names.push_back(std::to_string(i));
  }
  const std::size_t width = table.names.size();
  for (const Line& line : lines)
    if (line.fields.size() != width)
      return Status(Code::kInvalidArgument, file + ":" + std::to_string(line.number) + ": got " +
                                                std::to_string(line.fields.size()) + " fields, expected " +
                                                std::to_string(width) + " as before");
  if (!options.names.empty()) {
    if (options.names.size() != width)
      return Status(Code::kInvalidArgument, file + ": got " + std::to_string(options.names.size()) + " names for " +
                                                std::to_string(width) + " columns");
    table.names = options.names;
  }
  std::vector<std::string> sorted = table.names;
  std::sort(sorted.begin(), sorted.end());
  if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end())
    return Status(Code::kInvalidArgument, file + ": two columns are named \"" + *twice + "\"; give names");
  for (const auto& [name, dtype] : options.dtypes)
    if (!std::binary_search(sorted.begin(), sorted.end(), name))
      return Status(Code::kInvalidArgument, file + ": got a dtype for \"" + name + "\", there is no such column");
  for (std::size_t i = 0; i < width; ++i) {
    TENON_ASSIGN_OR_RETURN(Literal column, ColumnBuilder(lines, i, table.names[i], where, options).Build());
    table.columns.push_back(std::move(column));
  }
  return table;
}

Result<Table> ReadCsv(const std::string& path, const CsvOptions& options) {
  TENON_ASSIGN_OR_RETURN(const std::string text, base::ReadFileOrGzip(path));
  return ParseCsv(text, path, options);
}

}  // namespace tenon::data
