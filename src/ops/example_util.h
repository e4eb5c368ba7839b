// The features of serialized tf.train.Example messages.
//
// The bytes (protobuf): Example {features 1}; Features {feature 1: map entries {key 1, value 2}}; Feature {one of
// bytes_list 1, float_list 2, int64_list 3}, each a list {value 1} of bytes, floats or varints, the last two packed or
// not. A message that occurs twice is merged with the first; of equal keys the last one counts.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ops/array_util.h"

namespace tenon::ir::ops {

/// The values of one feature: of one kind, the other lists are empty.
struct FeatureValues {
  std::uint64_t kind = 0;  // 1 bytes, 2 floats, 3 integers; 0 none
  std::vector<std::string> texts;
  std::vector<float> floats;
  std::vector<std::int64_t> integers;
  std::size_t size() const { return texts.size() + floats.size() + integers.size(); }
};

/// The types that features have.
inline constexpr auto kFeatureSet = Only(DType::kF32) | Only(DType::kI64) | Only(DType::kString);
/// The kind of a type of kFeatureSet, and what messages call it.
inline std::uint64_t FeatureKind(DType dtype) { return dtype == DType::kString ? 1 : dtype == DType::kF32 ? 2 : 3; }
inline constexpr std::string_view kFeatureKinds[] = {"none", "string", "float", "int64"};

/// The last Feature of that key; an empty one when there is none. nullopt when the example is malformed.
std::optional<std::string_view> FindFeature(std::string_view example, std::string_view key);
/// Appends the values of an encoded Feature; false when it is malformed.
bool ReadFeature(std::string_view feature, FeatureValues& out);

/// For samples: an Example of one feature (`list` is the encoded content of its list), and a field of that number that
/// holds the bytes (fewer than 128).
std::string ExampleOf(std::string_view key, int kind, std::string_view list);
std::string PackedField(int number, std::string_view bytes);

}  // namespace tenon::ir::ops
