// Dataset<T>: a lazy sequence of structures of Tensors. Readers of data sets and of arrays in files.
#pragma once
#include <cstddef>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tenon/structure.h"

namespace tenon::data {

/// Labelled images, or any inputs with their targets.
struct Split {
  Tensor images = {};
  Tensor labels = {};
};
struct Splits {
  Split train = {};
  Split test = {};
};

/// MNIST, Fashion-MNIST and others of that form: {train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz] in `folder`.
/// Images f32 [N, 28, 28] from 0 to 1, labels i64 [N]. Throws kNotFound, kInvalidArgument or kDataLoss.
TENON_API Splits mnist(const std::string& folder);

struct DigitsOptions {
  std::int64_t train = 60'000;
  std::int64_t test = 10'000;
  std::uint64_t seed = 0;
};
/// Handwritten-looking digits drawn by this library, of the form of mnist(): a function of the seed alone, where an
/// image does not depend on how many there are. About 40 microseconds an image and thread.
TENON_API Splits digits(DigitsOptions options = {});

/// Arrays in NumPy's files. Throw as Literal readers do: kNotFound, kInvalidArgument, kDataLoss, kUnimplemented.
TENON_API Tensor read_npy(const std::string& path);
TENON_API std::map<std::string, Tensor> read_npz(const std::string& path);

enum class CsvHeader {
  kAuto,  // the first line names the columns unless one of its fields is a number
  kYes,
  kNo,
};
struct CsvOptions {
  char delimiter = ',';  // ' ' is any run of spaces and tabs
  CsvHeader header = CsvHeader::kAuto;
  std::vector<std::string> names = {};                    // of the columns, in place of the header's
  std::map<std::string, DType, std::less<>> dtypes = {};  // of some columns, by name
  DType floats = DType::kF32;                             // of columns with a point or a missing value
  std::vector<std::string> missing = {"", "NA", "N/A", "NaN", "nan", "null", "?"};
  char comment = '\0';  // lines that start with it are skipped
};
/// The columns of a table by name: i64, `floats` (missing: NaN) or strings. A file may be gzipped. Errors name the
/// line.
TENON_API std::map<std::string, Tensor> read_csv(const std::string& path, const CsvOptions& options = {});

struct ShuffleOptions {
  std::optional<std::uint64_t> seed = {};  // unset: drawn from the global generator (random::set_random_seed)
  bool reshuffle_each_iteration = true;    // each pass in an order of its own; all follow from the seed
};
struct BatchOptions {
  bool drop_remainder = false;  // leave out a last batch that is not full
};
struct MapOptions {
  int threads = 1;  // more: the body runs on as many threads at once, the order stays
};

inline constexpr std::int64_t kInfinite = -1;
inline constexpr std::int64_t kUnknown = -2;

/// What datasets are made of, whatever T is. For Dataset<T> and for code that consumes any dataset.
namespace pipeline {

/// Tensors in the order of Structure<T>, and a T that shows how they stand in it.
struct Element {
  std::vector<Tensor> tensors;
  std::shared_ptr<const void> like;
};
/// One pass over the elements. One thread at a time.
class TENON_API Pass {
 public:
  virtual ~Pass() = default;
  /// The next element; false, and `out` is unchanged, when there is none.
  virtual bool Next(Element& out) = 0;
};
/// A step; immutable and shared. Any thread.
class TENON_API Node {
 public:
  virtual ~Node() = default;
  virtual std::unique_ptr<Pass> Begin() const = 0;
  /// Elements of a pass, kInfinite or kUnknown.
  virtual std::int64_t Cardinality() const = 0;
};
using NodePtr = std::shared_ptr<const Node>;
using Generator = std::function<bool(Element&)>;  // false at the end

TENON_API NodePtr Slices(Element rows);
TENON_API NodePtr Generate(std::function<Generator()> begin);
TENON_API NodePtr Shuffle(const NodePtr& source, std::int64_t buffer, ShuffleOptions options);
TENON_API NodePtr Batch(const NodePtr& source, std::int64_t size, BatchOptions options);
TENON_API NodePtr Map(const NodePtr& source, std::function<Element(Element)> body, MapOptions options);
TENON_API NodePtr Filter(const NodePtr& source, std::function<bool(const Element&)> keep);
TENON_API NodePtr Repeat(const NodePtr& source, std::int64_t times);
TENON_API NodePtr Take(const NodePtr& source, std::int64_t count);
TENON_API NodePtr Skip(const NodePtr& source, std::int64_t count);
TENON_API NodePtr Concatenate(const NodePtr& first, const NodePtr& second);
TENON_API NodePtr Zip(const NodePtr& first, const NodePtr& second, std::function<Element(Element, Element)> join);
TENON_API NodePtr Cache(const NodePtr& source);
TENON_API NodePtr Prefetch(const NodePtr& source, std::int64_t elements);

template <Structured T>
Element Pack(T value) {
  Element out{flatten(value), {}};
  out.like = std::make_shared<const T>(std::move(value));
  return out;
}
template <Structured T>
T Unpack(const Element& element) {
  return rebuild<T>(*static_cast<const T*>(element.like.get()), element.tensors);
}

}  // namespace pipeline

/// A handle. Each step gives a new Dataset that keeps its source alive; nothing is computed before begin(), and each
/// begin() is a new pass over the data. Deterministic: the same seeds give the same elements in the same order. Errors
/// of a source or a body come out of begin() and ++ as Error. A Dataset may be used by any thread, a pass by one.
template <Structured T>
class Dataset {
 public:
  /// The rows: element i holds slice i along axis 0 of every Tensor. Throws kInvalidArgument unless all are eager and
  /// have the same number of rows.
  explicit Dataset(T slices) : node_(pipeline::Slices(pipeline::Pack<T>(std::move(slices)))) {}
  explicit Dataset(pipeline::NodePtr node) : node_(std::move(node)) {}
  /// `begin` is called for each pass and gives a function that returns the next element, or nothing at the end.
  static Dataset from_generator(std::function<std::function<std::optional<T>()>()> begin) {
    return Dataset(pipeline::Generate([begin = std::move(begin)]() -> pipeline::Generator {
      return [next = begin()](pipeline::Element& out) {
        std::optional<T> value = next();
        if (!value) return false;
        out = pipeline::Pack<T>(*std::move(value));
        return true;
      };
    }));
  }

  /// In random order. Of slices (and of what take, skip, repeat and map with one thread make of them) a whole pass is
  /// permuted, each order with the same chance, whatever `buffer` says; of other sources each element is drawn from the
  /// `buffer` >= 1 next ones.
  Dataset shuffle(std::int64_t buffer, ShuffleOptions options = {}) const {
    return Dataset(pipeline::Shuffle(node_, buffer, options));
  }
  /// `size` >= 1 elements along a new axis 0. Throws kInvalidArgument when they differ in dtype or shape.
  Dataset batch(std::int64_t size, BatchOptions options = {}) const {
    return Dataset(pipeline::Batch(node_, size, options));
  }
  /// body(element) in place of each element. With threads it must be safe to call from several at once.
  template <class F>
  auto map(F body, MapOptions options = {}) const {
    using U = std::remove_cvref_t<std::invoke_result_t<F&, const T&>>;
    static_assert(Structured<U>, "Dataset::map: the body returns Tensors, or containers and structs of them");
    return Dataset<U>(pipeline::Map(
        node_,
        [body = std::move(body)](const pipeline::Element& in) mutable {
          const T element = pipeline::Unpack<T>(in);
          return pipeline::Pack<U>(body(element));
        },
        options));
  }
  /// Only the elements for which keep(element) is true.
  Dataset filter(std::function<bool(const T&)> keep) const {
    return Dataset(pipeline::Filter(
        node_, [keep = std::move(keep)](const pipeline::Element& in) { return keep(pipeline::Unpack<T>(in)); }));
  }
  /// `times` passes one after the other, for ever when unset.
  Dataset repeat(std::optional<std::int64_t> times = {}) const {
    return Dataset(pipeline::Repeat(node_, times.value_or(kInfinite)));
  }
  Dataset take(std::int64_t count) const { return Dataset(pipeline::Take(node_, count)); }  // the first ones
  Dataset skip(std::int64_t count) const { return Dataset(pipeline::Skip(node_, count)); }  // all but the first ones
  Dataset concatenate(const Dataset& other) const { return Dataset(pipeline::Concatenate(node_, other.node_)); }
  /// Kept in memory by the first pass that reaches the end; later ones do not compute them again.
  Dataset cache() const { return Dataset(pipeline::Cache(node_)); }
  /// A thread of its own computes up to `elements` ahead; 0: it starts with 2, doubles when the consumer has to wait,
  /// and holds at most 256 MB (and one element).
  Dataset prefetch(std::int64_t elements = 0) const { return Dataset(pipeline::Prefetch(node_, elements)); }

  /// The number of elements of a pass, kInfinite, or kUnknown.
  std::int64_t cardinality() const { return node_->Cardinality(); }
  const pipeline::NodePtr& node() const { return node_; }

  /// Single-pass; the element lives until the next ++.
  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = T;
    Iterator() = default;
    explicit Iterator(std::unique_ptr<pipeline::Pass> pass) : pass_(std::move(pass)) { ++*this; }
    const T& operator*() const { return *element_; }
    const T* operator->() const { return &*element_; }
    Iterator& operator++() {
      if (pipeline::Element next; pass_->Next(next)) {
        element_.emplace(pipeline::Unpack<T>(next));
      } else {
        element_.reset();
      }
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& i, std::default_sentinel_t) { return !i.element_.has_value(); }

   private:
    std::unique_ptr<pipeline::Pass> pass_;
    std::optional<T> element_;
  };
  Iterator begin() const { return Iterator(node_->Begin()); }
  std::default_sentinel_t end() const { return {}; }

 private:
  pipeline::NodePtr node_;
};

/// Pairs of elements, as long as both have one.
template <Structured A, Structured B>
Dataset<std::pair<A, B>> zip(const Dataset<A>& first, const Dataset<B>& second) {
  return Dataset<std::pair<A, B>>(
      pipeline::Zip(first.node(), second.node(), [](const pipeline::Element& a, const pipeline::Element& b) {
        return pipeline::Pack(std::pair<A, B>(pipeline::Unpack<A>(a), pipeline::Unpack<B>(b)));
      }));
}

}  // namespace tenon::data
