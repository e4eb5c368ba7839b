// Servable: a loaded version that answers signatures. It knows no protocol, and its users know no format.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/unique_function.h"
#include "tenon/types.h"

namespace tenon::serve {

/// The signature that a request means when it names none.
inline constexpr std::string_view kDefaultSignature = "serving_default";
inline constexpr std::string_view kPredictMethod = "tensorflow/serving/predict";
inline constexpr std::string_view kClassifyMethod = "tensorflow/serving/classify";
inline constexpr std::string_view kRegressMethod = "tensorflow/serving/regress";

/// One input or output of a signature.
struct TensorInfo {
  std::string alias = {};        // the key in requests and replies
  std::string tensor_name = {};  // "x:0"; shown by the metadata only
  DType dtype = DType::kF32;
  std::vector<std::int64_t> dims = {};        // -1: any
  bool unknown_rank = false;                  // dims is then empty
  std::optional<Literal> default_value = {};  // of an input that gRPC requests may leave out
  bool is_reference = false;                  // metadata shows the type as a reference (DT_FLOAT_REF)
};

struct Signature {
  std::string name = {};
  std::string method_name = std::string(kPredictMethod);
  std::vector<TensorInfo> inputs = {};  // aliases are unique
  std::vector<TensorInfo> outputs = {};
  bool internal = false;  // listed by the metadata, cannot be run: the initialiser of a SavedModel, without a type
  /// The position of an input (output) of that alias; -1 when there is none.
  int input_index(std::string_view alias) const;
  int output_index(std::string_view alias) const;
};

using Deadline = std::chrono::steady_clock::time_point;
inline constexpr Deadline kNoDeadline = Deadline::max();

/// Who waits for a run.
class Waiter {
 public:
  virtual ~Waiter() = default;
  /// Nobody wants the result any more. Any thread; once true it stays true.
  virtual bool gone() const = 0;
};

/// How long a result is waited for: until the deadline, and while the waiter (null: one that stays) is there.
struct Patience {
  // NOLINTNEXTLINE(google-explicit-constructor): a deadline alone is the usual one
  Patience(Deadline until, std::shared_ptr<const Waiter> who = nullptr) : deadline(until), waiter(std::move(who)) {}
  Deadline deadline;
  std::shared_ptr<const Waiter> waiter;
};

/// Versions of a model that are remembered after their end.
inline constexpr std::size_t kMaxEnded = 64;

/// What a servable is made from.
struct ServableId {
  std::string name = {};
  std::int64_t version = 0;
  friend auto operator<=>(const ServableId&, const ServableId&) = default;
  std::string to_string() const;  // "{name: half_plus_two version: 123}"
};

/// Implementations are immutable after construction as far as their callers see: all members are called from many
/// threads at once. Destruction gives the memory back.
class Servable {
 public:
  virtual ~Servable() = default;

  /// Fixed for life.
  virtual const std::vector<Signature>& signatures() const = 0;

  /// Runs `signature` (a reference into signatures()). `inputs` stand in the order of signature.inputs and have their
  /// dtypes; their shapes are unchecked. `wanted` holds positions in signature.outputs; empty means all of them, in
  /// order. The result stands in the order asked for. Errors: kInvalidArgument for a shape that the model does not
  /// take, kDeadlineExceeded when the deadline passed before the end; others from the model.
  virtual Result<std::vector<Literal>> Run(const Signature& signature, std::vector<Literal> inputs,
                                           std::span<const int> wanted, Deadline deadline) = 0;

  /// Run without a thread that waits: `done` gets the result, on this thread before the call returns or on another one
  /// later. The servable stays alive until then by its caller's handle. A run that is queued while its waiter goes is
  /// not begun: kCancelled. The default calls Run.
  using Done = base::UniqueFunction<void(Result<std::vector<Literal>>)>;
  virtual void RunAsync(const Signature& signature, std::vector<Literal> inputs, std::span<const int> wanted,
                        // NOLINTNEXTLINE(performance-unnecessary-value-param): overrides move from it
                        Patience patience, Done done) {
    done(Run(signature, std::move(inputs), wanted, patience.deadline));
  }
  /// Whether RunAsync may return before it is done.
  virtual bool waits() const { return false; }
  /// Whether RunAsync neither waits nor takes long on a thread with an open BatchRound: most requests are kept for the
  /// round and run within a fraction of a millisecond, the others go to another thread.
  virtual bool joins() const { return false; }

  /// Run with every float computed and given back in float64, for what rounding explains of a result. Slow.
  /// kUnimplemented when the servable cannot, or when a run would change its state.
  // NOLINTNEXTLINE(performance-unnecessary-value-param): overrides move from it
  virtual Result<std::vector<Literal>> RunWide(const Signature&, std::vector<Literal>, std::span<const int>) {
    return Status(Code::kUnimplemented, "the model has no run in float64");
  }

  /// nullptr when there is none of that name. An empty name means kDefaultSignature.
  const Signature* FindSignature(std::string_view name) const;
};

}  // namespace tenon::serve
