// GradientTape, function, and control flow: differentiate and compile C++ functions of Tensors.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <type_traits>

#include "tenon/structure.h"

namespace tenon {

namespace eager {
class Tape;
class FunctionCore;
}  // namespace eager

struct GradientTapeOptions {
  bool persistent = false;
  bool watch_accessed_variables = true;
};

/// Records this thread's ops on watched Tensors from its construction to the first gradient(); when persistent, always.
/// Trainable Variables are watched as they are read. Tapes nest: the outer one records the inner one's gradients.
class TENON_API GradientTape {
 public:
  explicit GradientTape(GradientTapeOptions options = {});
  ~GradientTape();
  GradientTape(const GradientTape&) = delete;
  GradientTape& operator=(const GradientTape&) = delete;
  void watch(const Tensor& tensor);
  /// d target / d source, summed over the elements of target. Undefined where the target does not depend on the source.
  /// A Variable is its own source: converted, it would be a new read. Throws kFailedPrecondition on a second call
  /// unless persistent, and when the path is not differentiable.
  Tensor gradient(const Tensor& target, const Tensor& source);
  Tensor gradient(const Tensor& target, const Variable& source);
  std::vector<Tensor> gradient(const Tensor& target, const std::vector<Variable>& sources);
  std::vector<Tensor> gradient(const Tensor& target, std::initializer_list<Variable> sources);
  std::vector<Tensor> gradient(const Tensor& target, std::initializer_list<Tensor> sources);

 private:
  std::shared_ptr<eager::Tape> tape_;
};

struct FunctionOptions {
  /// When given, one trace serves every call: shapes of the Tensor arguments in order, Dim::any() or Dim::symbol()
  /// where they vary; other shapes are an error.
  std::vector<Shape> input_shapes = {};
  /// More traces than this log a warning (each is compiled anew).
  int max_traces = 8;
};

namespace function_detail {
/// Owns the traces and compiled functions. `key` names everything but the Tensors' dtypes and shapes.
class TENON_API Core {
 public:
  explicit Core(FunctionOptions options);
  std::vector<Tensor> Call(const std::string& key, const std::vector<Tensor>& inputs,
                           const std::function<std::vector<Tensor>(std::span<const Tensor>)>& body) const;
  int traces() const;

 private:
  std::shared_ptr<eager::FunctionCore> core_;
};
template <class T>
void AppendKey(std::string& key, const T& v) {
  if constexpr (Structured<T>) {
    key += "t" + std::to_string(flatten(v).size());
  } else if constexpr (std::is_arithmetic_v<T>) {
    key += "n" + std::to_string(v);
  } else if constexpr (std::is_enum_v<T>) {
    key += "e" + std::to_string(static_cast<std::int64_t>(v));
  } else if constexpr (std::is_convertible_v<T, std::string>) {
    key += "s" + std::string(v);
  } else {
    static_assert(sizeof(T) == 0, "tenon::function: an argument is made of Tensors, a number, an enum or a string");
  }
  key += ';';
}
}  // namespace function_detail

/// Traced and compiled once per structure, dtypes, shapes, and value of other arguments (FunctionOptions::input_shapes
/// makes it one trace). Side effects of the body happen while tracing only; Variables read and assigned are state of
/// the compiled function. `if (tensor)` in the body throws: use cond, while_loop. Any thread.
template <class Signature>
class Function;
template <class R, class... A>
class Function<R(A...)> {
  static_assert(Structured<R>, "tenon::function returns Tensors, or containers and structs of them");

 public:
  explicit Function(std::function<R(A...)> body, FunctionOptions options = {})
      : body_(std::move(body)), core_(std::move(options)), likes_(std::make_shared<std::map<std::string, R>>()) {}
  R operator()(A... args) const {
    std::string key;
    std::vector<Tensor> inputs;
    (Collect(key, inputs, args), ...);
    std::vector<Tensor> out = core_.Call(key, inputs, [&](std::span<const Tensor> traced) {
      std::size_t at = 0;
      // Braces: the arguments are rebuilt in order.
      std::tuple<std::decay_t<A>...> rebuilt{Rebuild<std::decay_t<A>>(args, traced, at)...};
      R result = std::apply([&](auto&... a) { return body_(static_cast<A&&>(a)...); }, rebuilt);
      std::vector<Tensor> flat = flatten(result);
      likes_->insert_or_assign(key, std::move(result));
      return flat;
    });
    return rebuild(likes_->at(key), out);
  }
  int traces() const { return core_.traces(); }

 private:
  template <class T>
  static void Collect(std::string& key, std::vector<Tensor>& inputs, const T& arg) {
    function_detail::AppendKey(key, arg);
    if constexpr (Structured<T>)
      for (Tensor& t : flatten(arg)) inputs.push_back(std::move(t));
  }
  template <class T>
  static T Rebuild(const T& arg, std::span<const Tensor> traced, std::size_t& at) {
    if constexpr (Structured<T>) {
      const std::size_t n = flatten(arg).size();
      at += n;
      return rebuild(arg, traced.subspan(at - n, n));
    } else {
      return arg;
    }
  }
  std::function<R(A...)> body_;
  function_detail::Core core_;
  std::shared_ptr<std::map<std::string, R>> likes_;
};
template <class R, class... A>
Function(std::function<R(A...)>, FunctionOptions) -> Function<R(A...)>;
template <class F>
auto function(F body, FunctionOptions options = {}) {
  if constexpr (requires { std::function(body); })
    return Function(std::function(std::move(body)), std::move(options));
  else
    static_assert(sizeof(F) == 0, "tenon::function: give the arguments types, [](const Tensor& x), not [](auto x)");
}

/// Control flow on Tensors, eager and traced. The functions may use outer Tensors and read Variables; assigning
/// Variables inside them throws kUnimplemented. cond: `predicate` is a bool scalar; both branches give as many Tensors
/// of the same dtypes.
TENON_API std::vector<Tensor> cond(const Tensor& predicate, const std::function<std::vector<Tensor>()>& then_branch,
                                   const std::function<std::vector<Tensor>()>& else_branch);
/// while_loop: runs body while condition (a bool scalar) holds; carries keep their dtypes and shapes.
TENON_API std::vector<Tensor> while_loop(const std::function<Tensor(const std::vector<Tensor>&)>& condition,
                                         const std::function<std::vector<Tensor>(const std::vector<Tensor>&)>& body,
                                         const std::vector<Tensor>& carries);
/// scan: body(carries, slices of xs along axis 0) gives {carries, ys}; returns the last carries and the stacked ys.
struct ScanResult {
  std::vector<Tensor> carries = {};
  std::vector<Tensor> ys = {};
};
TENON_API ScanResult scan(const std::function<ScanResult(const std::vector<Tensor>&, const std::vector<Tensor>&)>& body,
                          const std::vector<Tensor>& carries, const std::vector<Tensor>& xs, bool reverse = false);

}  // namespace tenon
