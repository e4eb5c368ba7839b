#include <algorithm>

#include "base/status_macros.h"
#include "data/csv.h"

namespace tenon::data {

Result<Literal> Table::column(std::string_view name) const {
  const auto at = std::find(names.begin(), names.end(), name);
  if (at != names.end()) return columns[static_cast<std::size_t>(at - names.begin())];
  std::string known;
  for (const std::string& other : names) known += (known.empty() ? "" : ", ") + other;
  return Status(Code::kNotFound, "Table: has no column \"" + std::string(name) + "\", only " + known);
}

Result<Literal> Table::matrix(const std::vector<std::string>& wanted, DType dtype) const {
  if (dtype != DType::kF32 && dtype != DType::kF64)
    return Status(Code::kInvalidArgument, "Table: got " + std::string(dtype_name(dtype)) + ", expected f32 or f64");
  const std::vector<std::string>& picked = wanted.empty() ? names : wanted;
  const auto width = static_cast<std::int64_t>(picked.size());
  Literal out(dtype, {rows(), width});
  for (std::int64_t j = 0; j < width; ++j) {
    TENON_ASSIGN_OR_RETURN(const Literal from, column(picked[static_cast<std::size_t>(j)]));
    if (from.dtype() == DType::kString)
      return Status(Code::kInvalidArgument, "Table: column \"" + picked[static_cast<std::size_t>(j)] +
                                                "\" holds strings, expected numbers; encode it with Categories");
    for (std::int64_t i = 0; i < rows(); ++i) {
      const auto at = static_cast<std::size_t>(i * width + j);
      if (dtype == DType::kF32)
        out.mutable_data<float>()[at] = static_cast<float>(from.at(i));
      else
        out.mutable_data<double>()[at] = from.at(i);
    }
  }
  return out;
}

std::pair<Literal, std::vector<std::string>> Categories(const Literal& strings) {
  std::vector<std::string> classes = strings.strings();
  std::sort(classes.begin(), classes.end());
  classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
  Literal codes = Literal::uninitialized(DType::kI64, strings.dims());
  const std::span<std::int64_t> to = codes.mutable_data<std::int64_t>();
  for (std::size_t i = 0; i < to.size(); ++i)
    to[i] = std::lower_bound(classes.begin(), classes.end(), strings.strings()[i]) - classes.begin();
  return {std::move(codes), std::move(classes)};
}

}  // namespace tenon::data
