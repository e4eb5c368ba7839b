// Lookup tables. What the initialiser (or the checkpoint) puts into one stays for the life of the model, so that a
// table is two constants, keys and values; models that change a table while they run are refused.
#include <fmt/format.h>

#include <charconv>

#include "base/file.h"
#include "base/status_macros.h"
#include "formats/savedmodel/ops/context.h"

namespace tenon::savedmodel {
namespace {

Status Handle(OpContext& c) {
  Slot slot;
  slot.kind = c.node.op.ends_with("V2") ? Slot::Kind::kResource : Slot::Kind::kReference;
  slot.cell = c.t.CellOf(c.node, Cell::Kind::kTable);
  c.SetSlot(0, slot);
  return {};
}

/// The table on input 0 with its content; null (and a status) when it has none.
const Cell* Table(OpContext& c) {
  const int id = c.cell(0);
  if (id < 0) return nullptr;
  const Cell& cell = c.t.cell(id);
  if (cell.kind == Cell::Kind::kTable && cell.keys && cell.values) return &cell;
  c.b.SetStatus(c.Unsupported(fmt::format("the table {:?} is filled by nothing that can be followed", cell.name)));
  return nullptr;
}

/// A tensor that is known now, or lies in the checkpoint.
std::optional<Literal> Known(OpContext& c, int i) {
  if (!c.has(i)) return std::nullopt;
  const Slot& slot = c.inputs[static_cast<std::size_t>(i)];
  if (slot.kind == Slot::Kind::kRestored) return c.t.Restored(slot.key);
  if (slot.kind != Slot::Kind::kTensor) return std::nullopt;
  const Literal* literal = c.constant(i);
  return literal == nullptr ? std::nullopt : std::optional<Literal>(*literal);
}

/// InitializeTableV2, LookupTableImportV2: table, keys, values.
Status Fill(OpContext& c) {
  if (!c.t.building().restoring) return c.Unsupported("a table is changed while the model runs");
  const int id = c.cell(0);
  const std::optional<Literal> keys = Known(c, 1), values = Known(c, 2);
  if (id < 0 || !keys || !values) return {};
  if (keys->rank() != 1 || values->rank() != 1 || keys->size() != values->size())
    return c.Unsupported("keys and values that are no vectors of one length");
  c.t.cell(id).keys = keys;
  c.t.cell(id).values = values;
  return {};
}

/// A column of a line: the line itself (-2), or the field of that number.
std::optional<std::string_view> Column(std::string_view line, std::int64_t index, char delimiter) {
  if (index == -2) return line;
  for (std::int64_t k = 0;; ++k) {
    const std::size_t end = std::min(line.find(delimiter), line.size());
    if (k == index) return line.substr(0, end);
    if (end == line.size()) return std::nullopt;
    line.remove_prefix(end + 1);
  }
}

/// The fields as a vector of that type.
Result<Literal> Vector(const OpContext& c, const std::vector<std::string>& fields, DType dtype) {
  const auto n = static_cast<std::int64_t>(fields.size());
  if (dtype == DType::kString) return Literal::from_strings({n}, fields);
  std::vector<std::int64_t> integers;
  std::vector<double> floats;
  for (const std::string& field : fields) {
    std::int64_t i = 0;
    double d = 0;
    const char *begin = field.data(), *end = begin + field.size();
    const bool whole = is_integer(dtype);
    const auto [stop, error] = whole ? std::from_chars(begin, end, i) : std::from_chars(begin, end, d);
    if (error != std::errc() || stop != end)
      return c.Fail(
          fmt::format("line {}: {:?} is no number", integers.size() + floats.size() + 1, field.substr(0, 60)));
    if (whole)
      integers.push_back(i);
    else
      floats.push_back(d);
  }
  switch (dtype) {
    case DType::kI64:
      return Literal::from<std::int64_t>({n}, integers);
    case DType::kI32:
      return Literal::from<std::int32_t>({n}, std::vector<std::int32_t>(integers.begin(), integers.end()));
    case DType::kF64:
      return Literal::from<double>({n}, floats);
    case DType::kF32:
      return Literal::from<float>({n}, std::vector<float>(floats.begin(), floats.end()));
    default:
      return c.Unsupported("a text file of such keys or values");
  }
}

/// InitializeTableFromTextFileV2: table, name of an asset.
Status FillFromFile(OpContext& c) {
  if (!c.t.building().restoring) return c.Unsupported("a table is changed while the model runs");
  const int id = c.cell(0);
  const std::optional<Literal> file = Known(c, 1);
  const NodeDef* table = id < 0 ? nullptr : c.t.cell(id).node;
  if (table == nullptr || !file || file->dtype() != DType::kString || file->size() != 1) return {};
  const auto type_of = [&](std::string_view attr) {
    const auto it = table->attrs.find(attr);
    const TfType* type = it == table->attrs.end() ? nullptr : it->second.get<TfType>();
    return type == nullptr ? std::nullopt : DTypeOfTf(*type);
  };
  const std::optional<DType> key_type = type_of("key_dtype"), value_type = type_of("value_dtype");
  if (!key_type || !value_type) return c.Fail("its table has no types");
  TENON_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(file->strings()[0]));
  const std::int64_t key_index = c.Int("key_index", -2), value_index = c.Int("value_index", -1);
  const std::int64_t limit = c.Int("vocab_size", -1), skipped = c.Int("offset", 0);
  const std::string delimiter = c.String("delimiter", "\t");
  std::vector<std::string> keys, values;
  std::int64_t number = 0;
  for (std::size_t at = 0; at < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = std::string_view(text).substr(at, end - at);
    at = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (number < skipped) continue;
    const std::int64_t place = number - skipped;
    if (limit >= 0 && place >= limit) break;
    for (const auto& [index, out] : {std::pair(key_index, &keys), std::pair(value_index, &values)}) {
      if (index == -1) {
        out->push_back(std::to_string(place));
        continue;
      }
      const auto field = Column(line, index, delimiter.empty() ? '\t' : delimiter[0]);
      if (!field) return c.Fail(fmt::format("line {} has no column {}", number + 1, index));
      out->emplace_back(*field);
    }
  }
  TENON_ASSIGN_OR_RETURN(c.t.cell(id).keys, Vector(c, keys, *key_type));
  TENON_ASSIGN_OR_RETURN(c.t.cell(id).values, Vector(c, values, *value_type));
  return {};
}

Status Find(OpContext& c) {  // table, keys, default
  const Cell* table = Table(c);
  if (table == nullptr) return {};
  c.Set(c.b.Add("lookup_values",
                {c.in(1), c.b.Constant(*table->keys), c.b.Constant(*table->values), c.b.Reshape(c.in(2), Shape{1})}));
  return {};
}

Status Change(OpContext& c) { return c.Unsupported("a table that changes while the model runs"); }

Status Size(OpContext& c) {
  const Cell* table = Table(c);
  if (table != nullptr) c.Set(c.b.Constant(Literal::scalar(table->keys->size())));
  return {};
}

Status Export(OpContext& c) {
  const Cell* table = Table(c);
  if (table == nullptr) return {};
  c.Set(0, c.b.Constant(*table->keys));
  c.Set(1, c.b.Constant(*table->values));
  return {};
}

constexpr Rule kRules[] = {
    {"HashTableV2", Handle},
    {"HashTable", Handle},
    {"MutableHashTableV2", Handle},
    {"InitializeTableV2", Fill},
    {"InitializeTable", Fill},
    {"LookupTableImportV2", Fill},
    {"LookupTableImport", Fill},
    {"InitializeTableFromTextFileV2", FillFromFile},
    {"InitializeTableFromTextFile", FillFromFile},
    {"LookupTableFindV2", Find},
    {"LookupTableFind", Find},
    {"LookupTableInsertV2", Change},
    {"LookupTableRemoveV2", Change},
    {"LookupTableSizeV2", Size},
    {"LookupTableExportV2", Export},
};

}  // namespace

std::span<const Rule> TableRules() { return kRules; }

}  // namespace tenon::savedmodel
