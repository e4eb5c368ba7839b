#include "ops/example_util.h"

#include <cstring>

namespace tenon::ir::ops {
namespace {

struct Field {
  std::uint64_t number = 0;
  int type = 0;
  std::string_view bytes;  // type 2
  std::uint64_t value = 0;
};

bool Varint(std::string_view& in, std::uint64_t& out) {
  out = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (in.empty()) return false;
    const auto byte = static_cast<unsigned char>(in[0]);
    in.remove_prefix(1);
    out |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

/// Takes one field off `in`. False when it is malformed.
bool Take(std::string_view& in, Field& field) {
  std::uint64_t tag = 0;
  if (!Varint(in, tag)) return false;
  field.number = tag >> 3;
  field.type = static_cast<int>(tag & 7);
  std::uint64_t size = 0;
  switch (field.type) {
    case 0:
      return field.number != 0 && Varint(in, field.value);
    case 1:
      size = 8;
      break;
    case 2:
      if (!Varint(in, size)) return false;
      break;
    case 5:
      size = 4;
      break;
    default:
      return false;  // groups do not occur here
  }
  if (field.number == 0 || size > in.size()) return false;
  field.bytes = in.substr(0, size);
  in.remove_prefix(size);
  return true;
}

}  // namespace

std::optional<std::string_view> FindFeature(std::string_view example, std::string_view key) {
  std::string_view found;
  for (Field features; !example.empty();) {
    if (!Take(example, features)) return std::nullopt;
    if (features.number != 1) continue;
    if (features.type != 2) return std::nullopt;
    for (Field entry; !features.bytes.empty();) {
      if (!Take(features.bytes, entry)) return std::nullopt;
      if (entry.number != 1) continue;
      if (entry.type != 2) return std::nullopt;
      std::string_view name, value;
      for (Field part; !entry.bytes.empty();) {
        if (!Take(entry.bytes, part) || ((part.number == 1 || part.number == 2) && part.type != 2)) return std::nullopt;
        if (part.number == 1) name = part.bytes;
        if (part.number == 2) value = part.bytes;
      }
      if (name == key) found = value;
    }
  }
  return found;
}

bool ReadFeature(std::string_view feature, FeatureValues& out) {
  for (Field list; !feature.empty();) {
    if (!Take(feature, list)) return false;
    if (list.number < 1 || list.number > 3) continue;
    if (list.type != 2) return false;
    if (list.number != out.kind) {
      out = FeatureValues();
      out.kind = list.number;
    }
    for (Field item; !list.bytes.empty();) {
      if (!Take(list.bytes, item)) return false;
      if (item.number != 1) continue;
      if (out.kind == 1) {
        if (item.type != 2) return false;
        out.texts.emplace_back(item.bytes);
      } else if (out.kind == 2) {
        if ((item.type != 2 && item.type != 5) || item.bytes.size() % sizeof(float) != 0) return false;
        const std::size_t before = out.floats.size();
        out.floats.resize(before + item.bytes.size() / sizeof(float));
        if (!item.bytes.empty()) std::memcpy(out.floats.data() + before, item.bytes.data(), item.bytes.size());
      } else if (item.type == 0) {
        out.integers.push_back(static_cast<std::int64_t>(item.value));
      } else {
        if (item.type != 2) return false;
        for (std::uint64_t v = 0; !item.bytes.empty();) {
          if (!Varint(item.bytes, v)) return false;
          out.integers.push_back(static_cast<std::int64_t>(v));
        }
      }
    }
  }
  return true;
}

std::string PackedField(int number, std::string_view bytes) {
  return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(bytes.size()) + std::string(bytes);
}

std::string ExampleOf(std::string_view key, int kind, std::string_view list) {
  return PackedField(1, PackedField(1, PackedField(1, key) + PackedField(2, PackedField(kind, list))));
}

}  // namespace tenon::ir::ops
