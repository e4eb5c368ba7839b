// The readers of tenon/data.h.
#include "data/csv.h"
#include "data/digits.h"
#include "data/mnist.h"
#include "tenon/data.h"
#include "tensor/npy.h"
#include "tensor/npz.h"

namespace tenon::data {
namespace {

// Test images are numbered from here, so that they do not depend on how many there are for training.
constexpr std::int64_t kFirstTestDigit = std::int64_t{1} << 40;

Split ToSplit(LabelledImages images) { return {Tensor(std::move(images.images)), Tensor(std::move(images.labels))}; }

}  // namespace

Splits mnist(const std::string& folder) {
  TrainAndTest read = ReadMnist(folder).value();
  return {ToSplit(std::move(read.train)), ToSplit(std::move(read.test))};
}

Splits digits(DigitsOptions options) {
  if (options.train < 0 || options.test < 0 || options.train > kFirstTestDigit || options.test > kFirstTestDigit)
    fail(Code::kInvalidArgument, "digits: got " + std::to_string(options.train) + " and " +
                                     std::to_string(options.test) + " images, expected 0 to 2^40");
  return {ToSplit(DrawDigits(options.seed, 0, options.train)),
          ToSplit(DrawDigits(options.seed, kFirstTestDigit, options.test))};
}

Tensor read_npy(const std::string& path) { return Tensor(npy::ReadNpy(path).value()); }

std::map<std::string, Tensor> read_npz(const std::string& path) {
  std::map<std::string, Tensor> out;
  for (auto& [key, literal] : npy::ReadNpz(path).value()) out.emplace(key, Tensor(std::move(literal)));
  return out;
}

std::map<std::string, Tensor> read_csv(const std::string& path, const CsvOptions& options) {
  Table table = ReadCsv(path, options).value();
  std::map<std::string, Tensor> out;
  for (std::size_t i = 0; i < table.names.size(); ++i) out.emplace(table.names[i], Tensor(std::move(table.columns[i])));
  return out;
}

}  // namespace tenon::data
