// Labelled images in memory: the MNIST family of folders.
#pragma once
#include <string>

#include "tenon/types.h"

namespace tenon::data {

struct LabelledImages {
  Literal images;  // f32 [N, rows, columns], 0 to 1
  Literal labels;  // i64 [N]
};
struct TrainAndTest {
  LabelledImages train, test;
};

/// MNIST, Fashion-MNIST, KMNIST …: {train,t10k}-{images-idx3,labels-idx1}-ubyte in `folder`, also with a dot before idx
/// and with .gz. kNotFound names the file that is missing; kInvalidArgument when images and labels do not go together.
Result<TrainAndTest> ReadMnist(const std::string& folder);

}  // namespace tenon::data
