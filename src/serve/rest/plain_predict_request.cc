// ReadPlainPredictRequest: the usual bodies in one pass, from the text to the tensors.
#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <type_traits>

#include "serve/rest/float_run.h"
#include "serve/rest/json_number.h"
#include "serve/rest/predict_request.h"

namespace tenon::serve {
namespace {

/// Where the elements are put until their number is known; kept by the thread where it is small, so that a request
/// allocates only what the model gets.
class Scratch {
 public:
  /// Room for `bytes`; what was in it is gone.
  std::byte* Room(std::size_t bytes) {
    if (bytes > size_) {
      size_ = bytes < kLeast ? kLeast : bytes;
      room_.reset();
      room_.reset(new (std::nothrow) std::byte[size_]);
      if (room_ == nullptr) size_ = 0;
    }
    return room_.get();
  }
  /// The room is not needed any more.
  void Leave() {
    if (size_ <= kKeep) return;
    room_.reset();
    size_ = 0;
  }

 private:
  static constexpr std::size_t kLeast = 64 << 10, kKeep = 1 << 20;
  std::unique_ptr<std::byte[]> room_;
  std::size_t size_ = 0;
};

constexpr std::size_t kMaxRank = 8;

/// Every member function that returns false leaves the body to the general reader.
class PlainReader {
 public:
  PlainReader(std::string_view body, const Servable& servable)
      : p_(body.data()), end_(body.data() + body.size()), servable_(servable) {}

  bool Read(PredictRequest& out) {
    Space();
    if (!Take('{')) return false;
    bool have_tensors = false, have_name = false;
    do {
      Space();
      std::string_view key;
      if (!Name(key)) return false;
      if (key == "signature_name") {
        std::string_view name;
        if (have_name || !Text(name)) return false;
        have_name = true;
        const Signature* signature = servable_.FindSignature(name);
        if (signature == nullptr || (have_tensors && signature != out.signature)) return false;
        out.signature = signature;
      } else if (key == "instances" || key == "inputs") {
        if (have_tensors) return false;
        have_tensors = true;
        if (out.signature == nullptr) out.signature = servable_.FindSignature({});
        if (out.signature == nullptr || out.signature->inputs.empty()) return false;
        out.form = key == "inputs" ? PredictForm::kColumnar : PredictForm::kRow;
        if (out.form == PredictForm::kRow && (p_ == end_ || *p_ != '[')) return false;
        if (!Tensors(out)) return false;
      } else {
        return false;
      }
      Space();
    } while (Take(','));
    return Take('}') && have_tensors;
  }

 private:
  bool Tensors(PredictRequest& out) {
    const std::vector<TensorInfo>& infos = out.signature->inputs;
    if (out.form == PredictForm::kColumnar && p_ != end_ && *p_ == '{') {
      std::vector<std::optional<Literal>> found(infos.size());
      ++p_;
      do {
        Space();
        std::string_view alias;
        if (!Name(alias)) return false;
        const int at = out.signature->input_index(alias);
        if (at < 0) return false;
        std::optional<Literal>& slot = found[static_cast<std::size_t>(at)];
        if (slot) return false;
        if (!(slot = Tensor(infos[static_cast<std::size_t>(at)].dtype))) return false;
        Space();
      } while (Take(','));
      if (!Take('}')) return false;
      for (std::optional<Literal>& slot : found) {
        if (!slot) return false;
        out.inputs.push_back(*std::move(slot));
      }
      return true;
    }
    if (infos.size() != 1) return false;
    std::optional<Literal> tensor = Tensor(infos[0].dtype);
    if (!tensor) return false;
    out.inputs.push_back(*std::move(tensor));
    return true;
  }

  std::optional<Literal> Tensor(DType dtype) {
    switch (dtype) {
      case DType::kF32:
        return Numbers<float>(dtype, [this](float& v) {
          const char* after = end_ - p_ >= kFloatReach ? ScanShortFloat(p_, v) : nullptr;
          if (after == nullptr) after = ScanFloat(p_, end_, v);
          if (after != nullptr) {
            p_ = after;
            return true;
          }
          JsonNumber n;
          if (!Number(n)) return false;
          v = n.kind == JsonNumber::Kind::kInt    ? static_cast<float>(n.i)
              : n.kind == JsonNumber::Kind::kUint ? static_cast<float>(n.u)
                                                  : static_cast<float>(n.d);
          return true;
        });
      case DType::kF64:
        return Numbers<double>(dtype, [this](double& v) {
          JsonNumber n;
          if (!Number(n)) return false;
          v = n.as_double();
          return true;
        });
      case DType::kI64:
        return Integers<std::int64_t, std::int64_t>(dtype);
      case DType::kI32:
        return Integers<std::int32_t, std::int32_t>(dtype);
      case DType::kI16:
        return Integers<std::int16_t, std::int32_t>(dtype);
      case DType::kI8:
        return Integers<std::int8_t, std::int32_t>(dtype);
      case DType::kU8:
        return Integers<std::uint8_t, std::int32_t>(dtype);
      case DType::kU32:
        return Integers<std::uint32_t, std::uint32_t>(dtype);
      default:
        return std::nullopt;
    }
  }

  /// T with the range of Range.
  template <class T, class Range>
  std::optional<Literal> Integers(DType dtype) {
    return Numbers<T>(dtype, [this](T& v) {
      JsonNumber n;
      if (!Number(n) || n.kind != JsonNumber::Kind::kInt) return false;
      if (n.i < std::numeric_limits<Range>::min() || n.i > std::numeric_limits<Range>::max()) return false;
      v = static_cast<T>(n.i);
      return true;
    });
  }

  bool Number(JsonNumber& n) {
    NumberError error;
    p_ = ScanNumber(p_, end_, n, error);
    return error == NumberError::kNone;
  }

  /// A scalar, or a list nested as deep everywhere, of equal lengths at each level and without empty lists.
  template <class T, class One>
  std::optional<Literal> Numbers(DType dtype, One one) {
    thread_local Scratch scratch;
    const struct Use {
      Scratch& of;
      ~Use() { of.Leave(); }
    } use{scratch};
    // Each element takes at least a digit and a comma or bracket.
    auto* const values = reinterpret_cast<T*>(scratch.Room((static_cast<std::size_t>(end_ - p_) / 2 + 1) * sizeof(T)));
    if (values == nullptr) return std::nullopt;
    T* next = values;
    std::array<std::int64_t, kMaxRank> dims;
    std::array<std::int64_t, kMaxRank> counts;
    dims.fill(-1);
    std::size_t depth = 0, rank = kMaxRank + 1;
    for (;;) {
      Space();
      while (Take('[')) {
        if (depth == kMaxRank || depth == rank) return std::nullopt;
        counts[depth++] = 0;
        Space();
      }
      if (rank > kMaxRank) rank = depth;
      if (depth != rank) return std::nullopt;
      // The elements of the innermost list.
      const T* const row = next;
      bool plain = rank > 0;
      do {
        Space();
        if constexpr (std::is_same_v<T, float>) {
          if (plain) {
            const char* const from = p_;
            p_ = ScanFloatRun(p_, end_, next);
            plain = p_ != from;
            Space();
          }
        }
        if (p_ == end_ || !one(*next)) return std::nullopt;
        ++next;
        Space();
      } while (rank > 0 && Take(','));
      if (rank == 0) return Finish(dtype, values, next, {});
      counts[depth - 1] = next - row;
      // The lists that end here.
      while (Take(']')) {
        --depth;
        if (dims[depth] < 0) dims[depth] = counts[depth];
        if (dims[depth] != counts[depth]) return std::nullopt;
        if (depth == 0) return Finish(dtype, values, next, std::span(dims.data(), rank));
        ++counts[depth - 1];
        Space();
      }
      if (!Take(',')) return std::nullopt;
    }
  }

  template <class T>
  std::optional<Literal> Finish(DType dtype, const T* first, const T* last, std::span<const std::int64_t> dims) {
    Literal out = Literal::uninitialized(dtype, {dims.begin(), dims.end()});
    const auto bytes = static_cast<std::size_t>(last - first) * sizeof(T);
    if (out.nbytes() != bytes) return std::nullopt;  // cannot be: the lengths were equal
    std::memcpy(out.mutable_raw().data(), first, bytes);
    return out;
  }

  void Space() {
    while (p_ != end_ && (*p_ == ' ' || *p_ == '\n' || *p_ == '\r' || *p_ == '\t')) ++p_;
  }
  bool Take(char c) {
    if (p_ == end_ || *p_ != c) return false;
    ++p_;
    return true;
  }
  /// A string without escapes.
  bool Text(std::string_view& out) {
    if (!Take('"')) return false;
    const char* const start = p_;
    while (p_ != end_ && *p_ != '"') {
      if (*p_ == '\\' || static_cast<unsigned char>(*p_) < 0x20) return false;
      ++p_;
    }
    out = std::string_view(start, static_cast<std::size_t>(p_ - start));
    return Take('"');
  }
  /// A name, the colon, and the spaces up to the value.
  bool Name(std::string_view& out) {
    if (!Text(out)) return false;
    Space();
    if (!Take(':')) return false;
    Space();
    return true;
  }

  const char* p_;
  const char* const end_;
  const Servable& servable_;
};

}  // namespace

std::optional<PredictRequest> ReadPlainPredictRequest(std::string_view body, const Servable& servable) {
  PredictRequest out;
  if (!PlainReader(body, servable).Read(out)) return std::nullopt;
  return out;
}

}  // namespace tenon::serve
