// Handles, names-or-objects, Config, initializers: what layers, models, optimizers and callbacks share.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tenon/tensor.h"

namespace tenon::keras {

/// The object behind a handle.
struct TENON_API Impl {
  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  virtual ~Impl();
};

/// What a handle is: copies are the same object; never null, also after std::move; const is shallow, as in shared_ptr.
template <class T>
class Shared {
 public:
  explicit Shared(std::shared_ptr<T> impl) : impl_(std::move(impl)) {}
  Shared(const Shared&) = default;  // no move: it would leave a null behind
  Shared& operator=(const Shared&) = default;
  friend bool operator==(const Shared&, const Shared&) = default;  // the same object
  const std::shared_ptr<T>& impl() const { return impl_; }

 private:
  std::shared_ptr<T> impl_;
};

/// Knows its class, for handle->field. T::Base is the plain handle: Layer, Model, Callback, …
template <class T>
struct Handle : T::Base {
  explicit Handle(std::shared_ptr<T> impl) : T::Base(std::move(impl)) {}
  T* operator->() const { return static_cast<T*>(this->impl().get()); }
};
template <class T, class... A>
Handle<T> make(A&&... args) {
  return Handle<T>(std::make_shared<T>(std::forward<A>(args)...));
}

/// A registered name, resolved (and reported when unknown) on use, or an object. Deduced: {"a", "b"} must not reach
/// std::string's iterator constructor.
template <class T>
class NameOr {
 public:
  NameOr() = default;
  template <std::convertible_to<std::string> S>
  NameOr(S&& name) : name_(std::forward<S>(name)) {}
  template <std::convertible_to<T> O>
    requires(!std::convertible_to<O, std::string> && !std::same_as<std::remove_cvref_t<O>, NameOr>)
  NameOr(O&& object) : object_(std::forward<O>(object)) {}
  const std::string& name() const { return name_; }
  const std::optional<T>& object() const { return object_; }
  bool empty() const { return name_.empty() && !object_; }

 private:
  std::string name_;
  std::optional<T> object_;
};

/// The arguments of a layer, as Keras saves them.
class TENON_API Config {
 public:
  class Value {
   public:
    template <std::convertible_to<std::string> S>
    Value(S&& text) : kind_(Kind::kText), text_(std::forward<S>(text)) {}
    template <class N>
      requires std::is_arithmetic_v<N>
    Value(N number)
        : kind_(std::same_as<N, bool> ? Kind::kBool
                : std::integral<N>    ? Kind::kInteger
                                      : Kind::kNumber),
          number_(static_cast<double>(number)) {}
    Value(std::vector<std::int64_t> list) : kind_(Kind::kList), list_(std::move(list)) {}
    enum class Kind : std::uint8_t { kText, kNumber, kInteger, kBool, kList };
    Kind kind() const { return kind_; }
    const std::string& text() const { return text_; }
    double number() const { return number_; }
    const std::vector<std::int64_t>& list() const { return list_; }

   private:
    Kind kind_;
    std::string text_;
    double number_ = 0;
    std::vector<std::int64_t> list_;
  };
  Config(std::initializer_list<std::pair<const std::string, Value>> values = {}) : values_(values) {}
  bool contains(const std::string& key) const { return values_.contains(key); }
  /// Throw kNotFound when absent, kInvalidArgument when of another kind.
  double number(const std::string& key) const;
  std::int64_t integer(const std::string& key) const;
  bool flag(const std::string& key) const;
  const std::string& text(const std::string& key) const;
  const std::vector<std::int64_t>& list(const std::string& key) const;
  void set(const std::string& key, Value value) { values_.insert_or_assign(key, std::move(value)); }
  const std::map<std::string, Value>& values() const { return values_; }

 private:
  const Value& at(const std::string& key) const;
  std::map<std::string, Value> values_;
};

/// Makes a weight's first value: a function of shape, dtype and a random state. Names: zeros, ones, constant,
/// random_normal, random_uniform ("uniform"), truncated_normal, glorot_uniform, glorot_normal, he_uniform, he_normal,
/// lecun_uniform, lecun_normal, variance_scaling, orthogonal, identity.
class TENON_API Initializer {
 public:
  using Fn = std::function<Literal(const Shape& shape, DType dtype, std::uint64_t seed)>;
  Initializer(std::string name, Fn fn, std::optional<std::uint64_t> seed = {})
      : name_(std::move(name)), fn_(std::move(fn)), seed_(seed) {}
  /// With a seed of its own the value is the same at each call; else each call draws anew from the global generator.
  Literal operator()(const Shape& shape, DType dtype = DType::kF32) const;
  const std::string& name() const { return name_; }
  static Initializer get(const NameOr<Initializer>& which);  // throws kNotFound listing the names

 private:
  std::string name_;
  Fn fn_;
  std::optional<std::uint64_t> seed_;
};
struct TENON_API Zeros : Initializer {
  Zeros();
};
struct TENON_API Ones : Initializer {
  Ones();
};
struct TENON_API Constant : Initializer {
  explicit Constant(double value = 0);
};
/// gain on the diagonal of a matrix, 0 elsewhere; other ranks throw kInvalidArgument.
struct TENON_API Identity : Initializer {
  explicit Identity(double gain = 1);
};
struct RandomNormalOptions {
  double mean = 0;
  double stddev = 0.05;
  std::optional<std::uint64_t> seed = {};
};
struct TENON_API RandomNormal : Initializer {
  explicit RandomNormal(RandomNormalOptions options = {});
};
struct TENON_API TruncatedNormal : Initializer {
  explicit TruncatedNormal(RandomNormalOptions options = {});
};
struct RandomUniformOptions {
  double minval = -0.05;
  double maxval = 0.05;
  std::optional<std::uint64_t> seed = {};
};
struct TENON_API RandomUniform : Initializer {
  explicit RandomUniform(RandomUniformOptions options = {});
};
struct VarianceScalingOptions {
  double scale = 1;
  std::string mode = "fan_in";                    // fan_in, fan_out, fan_avg
  std::string distribution = "truncated_normal";  // truncated_normal, untruncated_normal, uniform
  std::optional<std::uint64_t> seed = {};
};
struct TENON_API VarianceScaling : Initializer {
  explicit VarianceScaling(VarianceScalingOptions options = {}, std::string name = "variance_scaling");
};
struct SeedOptions {
  std::optional<std::uint64_t> seed = {};
};
struct TENON_API GlorotUniform : Initializer {
  explicit GlorotUniform(SeedOptions options = {});
};
struct TENON_API GlorotNormal : Initializer {
  explicit GlorotNormal(SeedOptions options = {});
};
struct TENON_API HeUniform : Initializer {
  explicit HeUniform(SeedOptions options = {});
};
struct TENON_API HeNormal : Initializer {
  explicit HeNormal(SeedOptions options = {});
};
struct TENON_API LecunUniform : Initializer {
  explicit LecunUniform(SeedOptions options = {});
};
struct TENON_API LecunNormal : Initializer {
  explicit LecunNormal(SeedOptions options = {});
};
struct TENON_API Orthogonal : Initializer {
  explicit Orthogonal(double gain = 1, SeedOptions options = {});
};

/// Seeds the global generator (initializers, Dropout, shuffling).
TENON_API void set_random_seed(std::uint64_t seed);

/// An activation by name ("relu", "softmax", …; "" and "linear" give none) or any function of a Tensor.
using Activation = std::function<Tensor(const Tensor&)>;
/// The function, or null for none; throws kNotFound listing the names.
TENON_API Activation get_activation(const NameOr<Activation>& which);

}  // namespace tenon::keras
