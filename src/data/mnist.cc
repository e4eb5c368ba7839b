#include "data/mnist.h"

#include "base/file.h"
#include "base/status_macros.h"
#include "data/idx.h"

namespace tenon::data {
namespace {

Result<Literal> ReadPart(const std::string& folder, const std::string& part, const std::string& rank) {
  for (const std::string dash : {"-", "."})
    for (const std::string end : {"", ".gz"}) {
      const std::string path = folder + "/" + part + dash + rank + "-ubyte" + end;
      if (base::FileExists(path)) return ReadIdx(path);
    }
  return Status(Code::kNotFound, folder + ": has no " + part + "-" + rank + "-ubyte or " + part + "-" + rank +
                                     "-ubyte.gz; download the four files of MNIST or use data::digits()");
}

Result<LabelledImages> ReadSplit(const std::string& folder, const std::string& name) {
  TENON_ASSIGN_OR_RETURN(const Literal pixels, ReadPart(folder, name + "-images", "idx3"));
  TENON_ASSIGN_OR_RETURN(const Literal classes, ReadPart(folder, name + "-labels", "idx1"));
  if (pixels.dtype() != DType::kU8 || pixels.rank() != 3 || classes.dtype() != DType::kU8 || classes.rank() != 1 ||
      pixels.dims()[0] != classes.dims()[0])
    return Status(Code::kInvalidArgument,
                  folder + "/" + name + ": got images " + std::string(dtype_name(pixels.dtype())) +
                      pixels.shape().to_string() + " and labels " + std::string(dtype_name(classes.dtype())) +
                      classes.shape().to_string() + ", expected u8[n, rows, columns] and u8[n]");
  LabelledImages out{Literal::uninitialized(DType::kF32, pixels.dims()),
                     Literal::uninitialized(DType::kI64, classes.dims())};
  const std::span<const std::uint8_t> from = pixels.data<std::uint8_t>();
  const std::span<float> to = out.images.mutable_data<float>();
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = static_cast<float>(from[i]) / 255.0F;
  const std::span<const std::uint8_t> labels = classes.data<std::uint8_t>();
  const std::span<std::int64_t> wide = out.labels.mutable_data<std::int64_t>();
  for (std::size_t i = 0; i < labels.size(); ++i) wide[i] = labels[i];
  return out;
}

}  // namespace

Result<TrainAndTest> ReadMnist(const std::string& folder) {
  if (!base::IsFolder(folder))
    return Status(Code::kNotFound, folder + ": no such folder; download the four files of MNIST or use data::digits()");
  TENON_ASSIGN_OR_RETURN(LabelledImages train, ReadSplit(folder, "train"));
  TENON_ASSIGN_OR_RETURN(LabelledImages test, ReadSplit(folder, "t10k"));
  return TrainAndTest{std::move(train), std::move(test)};
}

}  // namespace tenon::data
